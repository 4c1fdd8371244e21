"""Synthetic pages: HTML printed to PDF by Chromium, with the exact box of every region.

``python -m samples.training.layout.synth CORPUS KATEX_DIST OUT --docs 400 --pages 12 [--families unseen] [--seed 1]`` writes
``OUT/NNNN.pdf`` and ``OUT/NNNN.json`` (per page: size in points and ``[class id, x0, y0, x1, y1]`` in points, before
tightening to the ink, which is done on rendered pixels). A killed run goes on where it stopped.
"""

# ruff: noqa: E501 - a line of HTML is a line
from __future__ import annotations

import argparse
import json
import random
import time
from pathlib import Path

from mineru_accel.layout.classes import CLASS_IDS

from . import figures
from .blocks import CJK_FONTS, CYRILLIC, MONO, SANS, SERIF, Blocks, Style
from .dense import DENSE, lecture
from .office import OFFICE
from .templates import RICH, SEEN, UNSEEN, Family, slides

LANGUAGES = {"en": 40, "zh": 22, "tw": 3, "ja": 6, "fr": 7, "de": 7, "es": 4, "pt": 3, "ru": 5}
SIZES = [(794, 1123)] * 6 + [(816, 1056)] * 3 + [(665, 944), (720, 1040), (1123, 794)]
SLIDES = [(1280, 720), (1280, 720), (960, 720), (1120, 700)]
MIN_SIDE, MIN_AREA = 3, 30
CSS = """*{box-sizing:border-box}body{margin:0}.page{position:relative;overflow:hidden;break-after:page}
.cols{position:absolute;overflow:hidden;column-fill:auto;overflow-wrap:anywhere}p{margin:0}.page{overflow-wrap:anywhere}
table{border-collapse:collapse;margin:0 auto;line-height:1.2;max-width:100%;overflow-wrap:normal}td,th{padding:var(--p) 5px}td.l{text-align:left}
.full td,.full th{border:1px solid #444}.three{border-top:1.6px solid #000;border-bottom:1.6px solid #000}.three tr:first-child th{border-bottom:1px solid #000}
.rows tr{border-bottom:1px solid #bbb}.zebra tr:nth-child(even){background:#eee}.head th{background:#ddd}.head td,.head th{border:1px solid #ccc}
.dark th{background:var(--a);color:#fff}.dark tr{border-bottom:1px solid #ddd}"""
LABELLER = """()=>[...document.querySelectorAll('.page')].map(pg=>{const P=pg.getBoundingClientRect(),B=[];
for(const e of pg.querySelectorAll('[data-l]')){const el=e.dataset.box==='el';let rs;
if(el)rs=[e.getBoundingClientRect()];else{const r=document.createRange();r.selectNodeContents(e);
rs=[...r.getClientRects()].filter(r=>r.width>.5&&r.height>.5&&r.height<600)}
if(!rs.length)continue;const c=e.closest('.cols'),g=new Map();let bad=false;
if(c){const C=c.getBoundingClientRect(),n=+c.dataset.n,gap=+c.dataset.gap,cw=(C.width+gap)/n,span=!!e.closest('.sp')||e.dataset.span;
for(const r of rs){if(r.left>=C.right-1)continue;const k=span?0:Math.floor(((r.left+r.right)/2-C.left+gap/2)/cw);
if(r.right>C.right+2||r.bottom>C.bottom+2||r.left<C.left-2){bad=true}
const lim=span?C.right:C.left+(k+1)*cw-gap;if(r.right>lim+3)bad=true;
const o=g.get(k);if(o){o[0]=Math.min(o[0],r.left);o[1]=Math.min(o[1],r.top);o[2]=Math.max(o[2],r.right);o[3]=Math.max(o[3],r.bottom)}
else g.set(k,[r.left,r.top,r.right,r.bottom])}}
else{const o=[1e9,1e9,-1e9,-1e9];for(const r of rs){o[0]=Math.min(o[0],r.left);o[1]=Math.min(o[1],r.top);o[2]=Math.max(o[2],r.right);o[3]=Math.max(o[3],r.bottom)}
if(o[0]<P.left-1||o[1]<P.top-1||o[2]>P.right+1||o[3]>P.bottom-6)bad=true;g.set(0,o)}
if(bad){e.style.visibility='hidden';if(e.classList.contains('tex')){const q=e.parentElement.querySelector('.x');}continue}
for(const o of g.values())B.push([e.dataset.l,o[0]-P.left,o[1]-P.top,o[2]-P.left,o[3]-P.top])}return B})"""


def style(rng: random.Random) -> Style:
    """One document's language, fonts and colours."""
    language = rng.choices(list(LANGUAGES), list(LANGUAGES.values()))[0]
    if language in CJK_FONTS:
        fonts = CJK_FONTS[language]
        font, heading = rng.choice(fonts), rng.choice(fonts)
    elif language == "ru":
        font, heading = rng.choice(CYRILLIC), rng.choice(CYRILLIC)
    else:
        font, heading = rng.choice(rng.choice([SERIF, SERIF, SANS])), rng.choice(rng.choice([SERIF, SANS]))
    if rng.random() < 0.4:
        heading = font
    size = rng.choice([11, 11.5, 12, 12.5, 13, 13.5, 14, 15])
    photos = [figures.photo(rng.randrange(1 << 30)) for _ in range(rng.choice([0, 1, 1, 2]))]
    return Style(language, font, heading, rng.choice(MONO), figures.colour(rng, (20, 45)), size, photos)


def document(
    rng: random.Random, corpus: dict[str, str], pages: int, families: dict[Family, float]
) -> tuple[str, tuple[int, int], list[str]]:
    """HTML of one document, its page size in px and each page's family."""
    st = style(rng)
    screens = {f: p for f, p in families.items() if f in (slides, lecture)}
    landscape = rng.random() < sum(screens.values()) / sum(families.values())
    w, h = rng.choice(SLIDES) if landscape else rng.choice(SIZES)
    kinds = screens if landscape else {f: p for f, p in families.items() if f not in screens}
    out, names = [], []
    for _ in range(pages):
        family = rng.choices(list(kinds), list(kinds.values()))[0]
        b = Blocks(rng, corpus, st)
        size = st.size * rng.choice([0.9, 1, 1, 1.1])
        css = f"width:{w}px;height:{h}px;font:{size:.1f}px/{b.leading} '{st.font}','{st.heading_font}',serif"
        if not landscape and rng.random() < 0.06:
            css += f";background:{figures.colour(rng, (90, 97))}"
        out.append(f'<div class="page" style="{css}">{family(b, w, h)}</div>')
        names.append(family.__name__)
    return "".join(out), (w, h), names


def shell(katex: Path, body: str, size: tuple[int, int]) -> str:
    """The whole HTML file."""
    return (
        f'<!doctype html><html><head><meta charset=utf-8><base href="file://{katex}/"><link rel=stylesheet href="katex.min.css">'
        f"<style>{CSS}@page{{size:{size[0]}px {size[1]}px;margin:0}}</style><script src=katex.min.js></script></head><body>{body}"
        '<script>document.querySelectorAll(".tex").forEach(e=>katex.render(e.dataset.tex,e,{displayMode:true,output:"html",throwOnError:false}));'
        "document.querySelectorAll('.katex-display').forEach(e=>{e.style.margin='0'});</script></body></html>"
    )


def clean(boxes: list[list], w: int, h: int) -> list[list] | None:
    """Class ids and points; None if text boxes overlap each other (a broken page)."""
    out = [[CLASS_IDS[label], *(round(v * 0.75, 2) for v in box)] for label, *box in boxes]
    out = [b for b in out if b[3] - b[1] >= MIN_SIDE and b[4] - b[2] >= MIN_SIDE]
    for i, a in enumerate(out):
        for c in out[i + 1 :]:
            iw, ih = min(a[3], c[3]) - max(a[1], c[1]), min(a[4], c[4]) - max(a[2], c[2])
            if iw > 2 and ih > 2:
                small = min((a[3] - a[1]) * (a[4] - a[2]), (c[3] - c[1]) * (c[4] - c[2]))
                if iw * ih > 0.35 * small:
                    return None
    return out


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("katex", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--docs", type=int, default=400)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--pages", type=int, default=12)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--families", choices=["seen", "rich", "dense", "office", "unseen"], default="seen")
    args = parser.parse_args()
    from playwright.sync_api import sync_playwright

    corpus = json.loads(args.corpus.read_text("utf-8"))
    families = {"seen": SEEN, "rich": RICH, "dense": DENSE, "office": OFFICE, "unseen": UNSEEN}[args.families]
    args.out.mkdir(parents=True, exist_ok=True)
    start, done, dropped = time.time(), 0, 0
    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"])
        for i in range(args.first, args.first + args.docs):
            target = args.out / f"{i:05d}.json"
            if target.exists():
                continue
            rng = random.Random(f"{args.seed}-{i}")
            body, (w, h), names = document(rng, corpus, args.pages, families)
            source = args.out / f"{i:05d}.html"
            source.write_text(shell(args.katex, body, (w, h)), "utf-8")
            try:
                page = browser.new_page(viewport={"width": w, "height": h})
                page.emulate_media(media="print")
                page.goto(f"file://{source.resolve()}")
                page.evaluate("document.fonts.ready")
                labels = page.evaluate(LABELLER)
                page.pdf(path=args.out / f"{i:05d}.pdf", prefer_css_page_size=True, print_background=True)
                page.close()
            except Exception as exc:  # a document lost is no harm
                print(i, type(exc).__name__, str(exc)[:100], flush=True)
                continue
            source.unlink()
            pages = [
                {"family": name, "size": [w * 0.75, h * 0.75], "boxes": clean(boxes, w, h)}
                for name, boxes in zip(names, labels, strict=True)
            ]
            dropped += sum(q["boxes"] is None for q in pages)
            target.write_text(json.dumps(pages, separators=(",", ":")))
            done += len(pages)
            if i % 20 == 0:
                print(f"{i}: {done} pages, {done / (time.time() - start):.1f} a second, {dropped} dropped", flush=True)
        browser.close()


if __name__ == "__main__":
    main()
