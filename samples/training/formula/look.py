"""Display formulas of real papers through the ONNX graphs, and sheets to judge the answers by eye.

    python -m samples.training.formula.look MODEL DOCBANK OUT --most 100

DOCBANK: papers as PDFs and labels.json.gz with the DocBank classes of lines. OUT gets answers.jsonl and sheet_NN.png:
each crop, below it its answer typeset anew (or the LaTeX in red where TeX complained)."""

import argparse
import gzip
import json
import random
from pathlib import Path

import numpy as np
import pypdfium2
from PIL import Image, ImageDraw

from samples.training.formula import recognise, render, tokens

SCALE = 2.2  # pixels a point
LOOSE = 3  # points around a formula's box


def boxes(lines):
    """Equation lines [x0, y0, x1, y1] -> boxes of display formulas: lines that touch, with a little patience."""
    found = [list(line) for line in lines]
    merged = True
    while merged:
        merged = False
        for i in range(len(found)):
            for j in range(i + 1, len(found)):
                a, b = found[i], found[j]
                apart_y = max(a[1], b[1]) - min(a[3], b[3])
                apart_x = max(a[0], b[0]) - min(a[2], b[2])
                if (apart_y < 4 and apart_x < 15) or (apart_y < -4 and apart_x < 250):
                    found[i] = [min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3])]
                    del found[j]
                    merged = True
                    break
            if merged:
                break
    return [box for box in found if box[2] - box[0] > 40 and 8 < box[3] - box[1] < 220]


def choose(folder, most, seed=3):
    """[(paper, page, box)]: at most two formulas of a page, papers in turn."""
    labels = json.loads(gzip.decompress((folder / "labels.json.gz").read_bytes()))
    rng, papers = random.Random(seed), []
    for name, pages in sorted(labels.items()):
        path = folder / (name if name.endswith(".pdf") else name + ".pdf")
        if not path.exists():
            continue
        here = []
        for number, page in enumerate(pages):
            if page:
                found = boxes([line[1:5] for line in page["lines"] if line[0] == "equation"])
                here += [(path, number, box) for box in rng.sample(found, min(2, len(found)))]
        rng.shuffle(here)
        papers.append(here)
    rng.shuffle(papers)
    out = []
    while len(out) < most and any(papers):
        out += [here.pop() for here in papers if here]
    return out[:most]


def crop(path, number, box):
    """The grey crop of a box (points, origin top left)."""
    page = pypdfium2.PdfDocument(path)[number]
    picture = page.render(scale=SCALE, grayscale=True).to_numpy()
    picture = picture.reshape(picture.shape[:2])
    x0, y0, x1, y1 = (round(v * SCALE) for v in (box[0] - LOOSE, box[1] - LOOSE, box[2] + LOOSE, box[3] + LOOSE))
    return picture[max(0, y0) : y1, max(0, x0) : x1]


def closed(latex):
    """Whether all groups and environments are closed: one that isn't would swallow the formulas behind it."""
    found = tokens.split(latex)
    pairs = [found.count(r"\left") - found.count(r"\right"), found.count("{") - found.count("}")]
    edges = [sum(token.startswith(edge) for token in found) for edge in (r"\begin{", r"\end{")]
    return not any(pairs) and edges[0] == edges[1]


def again(answers):
    """LaTeX strings -> pictures of them typeset, None where TeX complained."""
    plain = [latex.split(r"\tag{")[0] for latex in answers]
    tags = [latex.split(r"\tag{")[1].split("}")[0] if r"\tag{" in latex else None for latex in answers]
    jobs = [
        [k, "cm", "d", "10", latex or "?", ["r", tag, 20] if tag else None]
        for k, (latex, tag) in enumerate(zip(plain, tags, strict=True))
        if closed(latex)
    ]
    out = [None] * len(answers)
    for at in range(0, len(jobs), 10):
        for data, ids in render.typeset(jobs[at : at + 10], "cm", "10"):
            document = pypdfium2.PdfDocument(data)
            for number, key in enumerate(ids):
                if key != "-":
                    out[int(key)] = document[number].render(scale=SCALE, grayscale=True).to_pil().convert("L")
    return out


def sheets(rows, folder, height=1500, width=1300):
    """rows: (number, crop, typeset picture or None, LaTeX) -> sheet_NN.png."""
    sheet, y, count = None, height, 0
    for number, picture, answer, latex in rows:
        picture = Image.fromarray(picture)
        pair = [picture] + ([answer] if answer else [])
        pair = [p if p.width < width - 60 else p.resize((width - 60, p.height * (width - 60) // p.width)) for p in pair]
        need = sum(p.height for p in pair) + 40
        if y + need > height:
            if sheet:
                sheet.save(folder / f"sheet_{count:02d}.png")
                count += 1
            sheet, y = Image.new("RGB", (width, height), "white"), 4
        draw = ImageDraw.Draw(sheet)
        draw.text((2, y), str(number), fill="blue")
        for p in pair:
            sheet.paste(p, (50, y))
            y += p.height + 6
        if not answer:
            draw.text((50, y), latex[:200], fill="red")
            y += 16
        draw.line((0, y + 4, width, y + 4), fill="gray")
        y += 12
    sheet.save(folder / f"sheet_{count:02d}.png")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("docbank", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--most", type=int, default=100)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    chosen = choose(args.docbank, args.most)
    crops = [crop(*one) for one in chosen]
    recogniser, rows = recognise.Recogniser(args.model), []
    order = sorted(range(len(crops)), key=lambda k: crops[k].shape)
    answers = [None] * len(crops)
    for at in range(0, len(order), 4):
        part = order[at : at + 4]
        for k, answer in zip(part, recogniser([recognise.ink(crops[k]) for k in part]), strict=True):
            answers[k] = answer
    with open(args.out / "answers.jsonl", "w", encoding="utf-8") as file:
        for (path, number, box), (found, mean, least) in zip(chosen, answers, strict=True):
            row = {"paper": path.name, "page": number, "box": np.round(box, 1).tolist(), "latex": tokens.join(found)}
            file.write(json.dumps({**row, "mean": round(mean, 4), "least": round(least, 3)}) + "\n")
    latex = [tokens.join(found) for found, _, _ in answers]
    rows = list(zip(range(len(crops)), crops, again(latex), latex, strict=True))
    sheets(rows, args.out)


if __name__ == "__main__":
    main()
