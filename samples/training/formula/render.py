"""Jobs (jobs.py) -> PDFs of one formula a page, by pdflatex.

    python -m samples.training.formula.render JOBS.jsonl OUT PREFIX

OUT gets PREFIX_NNN.pdf and PREFIX_NNN.ids, the job's id for each page, "-" for a page that TeX complained about. One
core typesets about 1000 formulas a second. A document whose pages can't be told apart is halved and tried again."""

import argparse
import json
import random
import re
import subprocess
import tempfile
import time
from pathlib import Path

import pypdfium2

from samples.training.formula import fonts

PAGES = 6000  # of a document; more make TeX run out of memory
_DOCUMENT = r"""\documentclass[%(size)spt]{article}
\usepackage{amsmath,mathtools}
%(ams)s
%(font)s
%(script)s
\pdfcompresslevel=0 \pdfobjcompresslevel=0 \pdfinfoomitdate=1 \pdfsuppressptexinfo=-1 \pdfgentounicode=0
\pdfdecimaldigits=2
\pdfhorigin=0pt \pdfvorigin=0pt \hoffset=0pt \voffset=0pt \topskip=0pt \parindent=0pt
\newdimen\HH
\long\def\F#1#2{\noindent\par\wlog{@@B #1}\setbox0\hbox{#2}\HH=\ht0 \advance\HH\dp0
 \ifdim\wd0<700pt \ifdim\HH<420pt \ifdim\wd0>3pt
 \pdfpagewidth=\wd0 \advance\pdfpagewidth 8pt \pdfpageheight=\HH \advance\pdfpageheight 8pt
 \wlog{@@S #1 \the\pdfpagewidth\space \the\pdfpageheight}\shipout\vbox{\kern4pt\hbox{\kern4pt\box0}}\fi\fi\fi}
\begin{document}
\output={\setbox0\box255 \global\deadcycles=0 }%% what an error left on the page is no page
%(body)s
\end{document}
"""


def _safe(latex):
    """LaTeX whose line breaks don't take a bracket for their argument, whose scripts may be operators."""
    latex = re.sub(r"([\^_])(\\[a-zA-Z]+)(?![a-zA-Z])", r"\1{\2}", latex)
    latex = re.sub(r"(\\begin\{(?:aligned|gathered)\})(?=\[)", r"\1{}", latex)
    return re.sub(r"(\\\\)(?=[\[*])", r"\1{}", latex)


def _box(job):
    _, _, style, _, latex, tag = job
    formula = f"${chr(92)}displaystyle {_safe(latex)}$" if style == "d" else f"${_safe(latex)}$"
    if tag is None:
        return formula
    side, inside, gap = tag
    label = rf"\rm({inside})" if "'" not in inside else rf"\rm($\rm {inside}$)"
    if side == "r":
        return rf"{formula}\hskip {gap}pt {label}"
    if side == "b":
        return rf"\vtop{{\hbox{{{formula}}}\kern4pt\hbox{{\hskip {2 * gap}pt {label}}}}}"
    return rf"{label}\hskip {gap}pt {formula}"


def typeset(jobs, font, size, tries=20):
    """jobs of one font and size -> [(PDF's bytes, ids of its pages, "-" for bad ones)]."""
    settings = {
        "size": size,
        "font": fonts.PREAMBLES[font],
        "ams": "" if font in fonts.HAS_AMS else r"\usepackage{amssymb}",
        "script": "" if font in fonts.HAS_SCRIPT else r"\usepackage{mathrsfs}",
        "body": "\n".join(rf"\F{{{k}}}{{{_box(job)}}}" for k, job in enumerate(jobs)),
    }
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "x.tex").write_text(_DOCUMENT % settings, encoding="utf-8")
        subprocess.run(
            ["pdflatex", "-interaction=batchmode", "x.tex"], cwd=folder, stdout=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL, timeout=600, check=False,
        )  # fmt: skip
        log = (Path(folder) / "x.log").read_text(encoding="utf-8", errors="replace").split("\n")
        made = Path(folder) / "x.pdf"
        data = made.read_bytes() if made.exists() else b""
    current, bad, pages = None, set(), []
    for line in log:
        if line.startswith("@@B "):
            current = int(line[4:])
        elif line.startswith("@@S "):
            number, width, height = line[4:].split()
            pages.append((int(number), float(width[:-2]), float(height[:-2])))
        elif current is not None and line.startswith(("!", "Missing character")):
            bad.add(current)
    if data and _in_step(data, pages):
        return [(data, ["-" if number in bad else str(jobs[number][0]) for number, _, _ in pages])]
    if not data and current is not None and tries:
        # TeX gave up (100 errors in one formula): once more without that one.
        return typeset(jobs[:current] + jobs[current + 1 :], font, size, tries - 1)
    if len(jobs) < 40:
        return []
    half = len(jobs) // 2
    return typeset(jobs[:half], font, size) + typeset(jobs[half:], font, size)


def _in_step(data, pages):
    """Whether the PDF's pages are those of the log, by their number and sizes (TeX's points to PDF's)."""
    document = pypdfium2.PdfDocument(data)
    if len(document) != len(pages):
        return False
    for at in range(0, len(pages), max(1, len(pages) // 200)):
        width, height = document.get_page_size(at)
        if abs(width - pages[at][1] * 72 / 72.27) > 0.1 or abs(height - pages[at][2] * 72 / 72.27) > 0.1:
            return False
    return True


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("jobs", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("prefix")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    groups = {}
    for line in args.jobs.read_text(encoding="utf-8").splitlines():
        job = json.loads(line)
        groups.setdefault((job[1], job[3]), []).append(job)
    work = [(key, jobs[at : at + PAGES]) for key, jobs in groups.items() for at in range(0, len(jobs), PAGES)]
    random.Random(0).shuffle(work)  # the first documents are of all kinds already
    number, good, start = 0, 0, time.time()
    for (font, size), part in work:
        made = typeset(part, font, size)
        fine = 0
        for data, ids in made:
            (args.out / f"{args.prefix}_{number:03d}.pdf").write_bytes(data)
            (args.out / f"{args.prefix}_{number:03d}.ids").write_text("\n".join(ids))
            fine += sum(key != "-" for key in ids)
            number += 1
        good += fine
        print(
            font,
            size,
            len(part),
            "good",
            fine,
            "in",
            len(made),
            f"total {good} {time.time() - start:.0f} s",
            flush=True,
        )


if __name__ == "__main__":
    main()
