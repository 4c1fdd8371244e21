"""Whether answers look like the truth: both typeset alike, their pictures compared.

    python -m samples.training.formula.match ANSWERS.jsonl [--longest 60]

ANSWERS.jsonl: train.py's, {"truth", "answer"} a line. Prints the share of equal pictures, and of those that differ in
at most 2 % of their pixels at about the same size."""

import argparse
import json
from pathlib import Path

import numpy as np
import pypdfium2

from samples.training.formula import look, render, tokens


def pictures(answers):
    """LaTeX strings -> their ink (bool, cut to it), None where TeX complains or brackets stay open."""
    jobs = []
    for number, latex in enumerate(answers):
        if look.closed(latex):
            font = "chinese" if any(ord(letter) > 126 for letter in latex) else "cm"
            body, _, tag = latex.partition(r"\tag{")
            jobs.append([number, font, "d", "10", body or "?", ["r", tag[: tag.find("}")], 20] if tag else None])
    out = [None] * len(answers)
    for font in ("cm", "chinese"):
        part = [job for job in jobs if job[1] == font]
        for at in range(0, len(part), 500):
            for data, ids in render.typeset(part[at : at + 500], font, "10"):
                document = pypdfium2.PdfDocument(data)
                for number, key in enumerate(ids):
                    if key != "-":
                        out[int(key)] = _ink(document[number].render(scale=2, grayscale=True).to_numpy())
    return out


def _ink(grey):
    dark = grey.reshape(grey.shape[:2]) < 160
    rows, columns = np.flatnonzero(dark.any(1)), np.flatnonzero(dark.any(0))
    return dark[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] if len(rows) else dark[:1, :1]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("answers", type=Path)
    parser.add_argument("--longest", type=int, default=60, help="tokens")
    args = parser.parse_args()
    rows = [json.loads(line) for line in args.answers.read_text(encoding="utf-8").splitlines()]
    rows = [row for row in rows if len(tokens.split(row["truth"])) <= args.longest]
    truth, answer = pictures([row["truth"] for row in rows]), pictures([row["answer"] for row in rows])
    count = equal = near = broken = 0
    for a, b in zip(truth, answer, strict=True):
        if a is None:
            continue
        count += 1
        if b is None:
            broken += 1
        elif a.shape == b.shape and not (a != b).any():
            equal += 1
        elif abs(a.shape[0] - b.shape[0]) <= 3 and abs(a.shape[1] - b.shape[1]) <= 6:
            height, width = min(a.shape[0], b.shape[0]), min(a.shape[1], b.shape[1])
            near += (a[:height, :width] != b[:height, :width]).mean() < 0.02
    print(
        f"n {count} equal {equal / count:.3f} equal or near {(equal + near) / count:.3f}"
        f" not typeset {broken / count:.3f}"
    )


if __name__ == "__main__":
    main()
