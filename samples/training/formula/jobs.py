"""What is to be typeset: formulas, variants and compositions, each with a font, a style and perhaps a number.

    python -m samples.training.formula.jobs CORPUS OUT --renamed 200000 --made 190000

CORPUS: corpus.py's folder. OUT gets train.jsonl, held.jsonl and slice.jsonl, each line [id, font, style, size in
points, LaTeX to typeset, number's LaTeX], and labels.json, {id: LaTeX to answer}. Styles: "d" display, "i" inline; a
number is drawn behind ("r"), before ("l") or below ("b") the formula, in parentheses, and answered as `\\tag{...}`."""

import argparse
import json
import random
from pathlib import Path

from samples.training.formula import corpus, fonts, multiline, tokens, variants

MOST = 250  # tokens of a formula


class Maker:
    """Gives jobs their ids, keeps the labels."""

    def __init__(self, seed):
        self.rng, self.labels = random.Random(seed), {}
        self.names, self.weights = list(fonts.WEIGHTS), list(fonts.WEIGHTS.values())

    def job(self, answer, display, font=None, number=0.0, plain=False):
        """answer: tokens. Returns the job; `plain`: typeset as spelt, for tests."""
        rng = self.rng
        chinese = any(ord(token[0]) > 126 for token in answer)
        if font is None:
            font = rng.choice(["chinese", "chinese-kai"]) if chinese else rng.choices(self.names, self.weights)[0]
        size = rng.choice(fonts.SIZES.get(font, ("10",)))
        style = "d" if display and rng.random() < 0.85 else ("i" if rng.random() < 0.8 else "d")
        drawn = answer if plain or chinese else variants.loosen(answer, rng)
        tag = None
        if display and rng.random() < number:
            inside = multiline.number(rng)
            answer = [*answer, r"\tag", "{", *inside, "}"]
            tag = [rng.choices("rlb", [82, 12, 6])[0], inside, rng.choices([8, 20, 45, 90, 160], [1, 3, 3, 2, 1])[0]]
            style = "d"
        key = len(self.labels)
        self.labels[key] = tokens.join(answer)
        return [key, font, style, size, tokens.join(drawn), tag]


def _write(path, jobs):
    path.write_text("".join(json.dumps(job, ensure_ascii=False) + "\n" for job in jobs), encoding="utf-8")
    print(path.name, len(jobs))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--renamed", type=int, default=200000, help="variants with other symbols")
    parser.add_argument(
        "--made", type=int, default=190000, help="compositions: several lines, matrices, long lines ..."
    )
    parser.add_argument("--seed", type=int, default=20261129)
    parser.add_argument("--share", type=float, default=1.0, help="of the list's own formulas")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    maker = Maker(args.seed)
    rng = maker.rng
    train, held, sliced = (list(corpus.read(args.corpus / f"{name}.tsv")) for name in ("train", "held", "slice"))
    never = {row[2] for row in held} | {row[2] for row in sliced}
    pool = multiline.Pool(train)
    extra = multiline.Pool(held + sliced)

    tests = [
        maker.job(tokens.split(row[2]), True, rng.choice(["cm"] * 5 + ["fouriernc", "antt", "newtx"])) for row in held
    ]
    # Compositions out of held-out formulas alone: the test of several lines.
    kinds, shares = list(multiline.MAKERS), list(multiline.MAKERS.values())
    lines = [maker.job(rng.choices(kinds, shares)[0](extra, rng), True, number=0.2) for _ in range(600)]
    _write(args.out / "held.jsonl", sorted(tests, key=lambda job: (job[1], job[3])))
    _write(args.out / "lines.jsonl", sorted(lines, key=lambda job: (job[1], job[3])))
    tests = [maker.job(tokens.split(row[2]), True) for row in sliced]
    _write(args.out / "slice.jsonl", sorted(tests, key=lambda job: (job[1], job[3])))

    jobs = [maker.job(tokens.split(row[2]), row[1] == "d", number=0.12) for row in train if rng.random() < args.share]
    # Longer formulas are the rare ones: they are varied most.
    rich = [found for found in (tokens.split(row[2]) for row in train) if 8 <= len(found) <= 140]
    weights = [min(len(found), 60) for found in rich]
    for found in rng.choices(rich, weights, k=args.renamed):
        answer = variants.rename(found, rng)
        if tokens.join(answer) not in never:
            jobs.append(maker.job(answer, True, number=0.08))
    for kind in rng.choices(kinds, shares, k=args.made):
        answer = kind(pool, rng)
        if rng.random() < 0.3:
            answer = variants.rename(answer, rng)
        if len(answer) <= MOST and tokens.join(answer) not in never:
            jobs.append(maker.job(answer, True, number=0.2))
    rng.shuffle(jobs)
    jobs.sort(key=lambda job: (job[1], job[3]))  # few big documents for each font
    _write(args.out / "train.jsonl", jobs)
    (args.out / "labels.json").write_text(json.dumps(maker.labels, ensure_ascii=False), encoding="utf-8")


if __name__ == "__main__":
    main()
