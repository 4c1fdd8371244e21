"""The list of formulas, cut into what is trained on and what is held out.

    python -m samples.training.formula.corpus FORMULAS.tsv OUT

FORMULAS.tsv (or .tsv.xz): one a line, `source TAB d|i TAB LaTeX`, normalised (README.md says from which sources).
OUT gets train.tsv, held.tsv (display formulas of whole sources never trained on) and slice.tsv (a random slice of
Wikipedia). No formula of the last two is in the first."""

import argparse
import lzma
import random
import re
from pathlib import Path

from samples.training.formula import tokens

HELD = {"dealii", "d2l", "fcla"}
# Not in every font, or not drawn as what they say.
_BAD = re.compile(
    r"\\math(?:cal|scr|bb)\{?[^A-Z{]|\\math(?:cal|scr|bb)\{[A-Z]*[a-z0-9]|\\(AA|aa|maltese|yen|copyright|pounds|euro)"
)


def read(path):
    """Yields (source, "d" for display or "i" for inline, LaTeX)."""
    opener = lzma.open if str(path).endswith(".xz") else open
    with opener(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            source, kind, latex = line.rstrip("\n").split("\t")
            yield source, kind, latex


def divide(rows, rng, held=1200, sliced=1200):
    """rows -> (train, held, sliced); `held` and `sliced` are at most that many formulas of 6 tokens and more."""
    train, other, part = [], [], []
    for row in rows:
        length = len(tokens.split(row[2]))
        if _BAD.search(row[2]) or length > 250:
            continue
        long = row[1] == "d" and length >= 6
        if row[0] in HELD:
            if long:
                other.append(row)
        elif long and row[0] == "wikipedia" and len(part) < sliced and rng.random() < 0.02:
            part.append(row)
        else:
            train.append(row)
    rng.shuffle(other)
    kept = {row[2] for row in other} | {row[2] for row in part}
    return [row for row in train if row[2] not in kept], other[:held], part


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("formulas", type=Path)
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    rng = random.Random(20261129)
    rows = list(read(args.formulas))
    rng.shuffle(rows)
    args.out.mkdir(parents=True, exist_ok=True)
    for name, part in zip(("train", "held", "slice"), divide(rows, rng), strict=True):
        text = "".join("\t".join(row) + "\n" for row in part)
        (args.out / f"{name}.tsv").write_text(text, encoding="utf-8")
        print(name, len(part))


if __name__ == "__main__":
    main()
