"""Crops -> LaTeX through the ONNX graphs of export.py, on a CPU, with numpy and ONNX Runtime alone.

    python -m samples.training.formula.recognise MODEL PDFS KIND [--most 300] [--batch 8] [--threads 1]

measures it on typeset test documents (render.py's): right answers and formulas a second."""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import onnxruntime

from samples.training.formula import pages, score, tokens

CELL = (16, 8)  # pixels, height and width
MOST_CELLS = 1800
LONGEST = 286
MARGIN = 5  # pixels between the corner and the ink


def ink(grey):
    """Grey levels [height, width] uint8, dark or light on any paper -> ink 0 to 1 (float32), cut to what is drawn."""
    level = np.bincount(grey.reshape(-1), minlength=256)
    paper = int(level.argmax())
    values = grey.astype(np.float32)
    if paper < 128:
        values, paper = 255 - values, 255 - paper
    dark = float(np.percentile(values, 0.5))
    out = np.clip((paper - values) / max(paper - dark, 40), 0, 1)
    out[out < 0.04] = 0
    rows, columns = np.flatnonzero((out > 0.25).any(1)), np.flatnonzero((out > 0.25).any(0))
    if len(rows) == 0:
        return out[:1, :1]
    return out[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _resize(image, factor):
    from PIL import Image

    height, width = max(1, round(image.shape[0] * factor)), max(1, round(image.shape[1] * factor))
    return np.asarray(Image.fromarray(image).resize((width, height), Image.BILINEAR))


class Recogniser:
    """folder: encoder.onnx, step.onnx, vocab.json."""

    def __init__(self, folder, threads=1):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        load = lambda name: onnxruntime.InferenceSession(  # noqa: E731
            str(Path(folder) / name), options, providers=["CPUExecutionProvider"]
        )
        self.encoder, self.step = load("encoder.onnx"), load("step.onnx")
        self.vocab = json.loads((Path(folder) / "vocab.json").read_text(encoding="utf-8"))
        shape = self.step.get_inputs()[2].shape
        self.blocks, self.heads, self.head = shape[1], shape[3], shape[5]

    def __call__(self, images):
        """images: inks (`ink`) of crops drawn at about 160 dpi, all in one batch -> [(tokens, mean log-probability of a
        token, lowest one)]."""
        ready = []
        for image in images:
            cells = (image.shape[0] + 20) * (image.shape[1] + 16) / (CELL[0] * CELL[1])
            ready.append(image if cells <= MOST_CELLS else _resize(image, (MOST_CELLS / cells) ** 0.5))
        height = -(-(max(image.shape[0] for image in ready) + 2 * MARGIN) // CELL[0]) * CELL[0]
        width = -(-(max(image.shape[1] for image in ready) + 2 * MARGIN) // CELL[1]) * CELL[1]
        batch = np.zeros((len(ready), 1, max(32, height), max(64, width)), np.float32)
        for k, image in enumerate(ready):
            batch[k, 0, MARGIN : MARGIN + image.shape[0], MARGIN : MARGIN + image.shape[1]] = image
        (cross,) = self.encoder.run(None, {"image": batch})
        past = np.zeros((2, self.blocks, len(ready), self.heads, 0, self.head), np.float32)
        ids = np.full((len(ready), 1), tokens.BOS, np.int64)
        alive, out = np.arange(len(ready)), [[] for _ in ready]
        sure = [[] for _ in ready]
        for position in range(LONGEST):
            feed = {"ids": ids, "position": np.array([position]), "past": past, "cross": cross}
            best, likely, past = self.step.run(None, feed)
            for k, token, value in zip(alive, best.tolist(), likely.tolist(), strict=True):
                sure[k].append(value)
                if token > tokens.MASK:
                    out[k].append(self.vocab[token])
            going = best != tokens.EOS
            if not going.any():
                break
            if not going.all():
                # Finished formulas leave the batch.
                alive, best = alive[going], best[going]
                past, cross = np.ascontiguousarray(past[:, :, going]), np.ascontiguousarray(cross[:, :, going])
            ids = best[:, None]
        return [(answer, float(np.mean(s)), float(np.min(s))) for answer, s in zip(out, sure, strict=True)]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("pdfs", type=Path, help="render.py's folder")
    parser.add_argument("labels", type=Path)
    parser.add_argument("kind")
    parser.add_argument("--most", type=int, default=300)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    import pypdfium2

    labels, found = json.loads(args.labels.read_text(encoding="utf-8")), []
    for path in sorted(args.pdfs.glob(args.kind + "_*.pdf")):
        document = pypdfium2.PdfDocument(path)
        for number, key in enumerate(path.with_suffix(".ids").read_text().split("\n")):
            if key != "-":
                grey = document[number].render(scale=pages.TEST_SCALE, grayscale=True).to_numpy()
                found.append((ink(grey.reshape(grey.shape[:2])), tokens.split(labels[key])))
    # Evenly out of all, then by size, so that a batch holds alike ones.
    found = [found[k] for k in np.linspace(0, len(found) - 1, min(args.most, len(found))).astype(int)]
    found.sort(key=lambda pair: (pair[0].shape[0] // 32, pair[0].shape[1]))
    recogniser = Recogniser(args.model, args.threads)
    recogniser([found[0][0]])
    pairs, sure, began, clock = [], [], time.time(), time.process_time()
    for at in range(0, len(found), args.batch):
        part = found[at : at + args.batch]
        for (_, truth), (answer, mean, least) in zip(part, recogniser([p[0] for p in part]), strict=True):
            pairs.append((truth, answer))
            sure.append((mean, least, tokens.lenient(truth) == tokens.lenient(answer)))
    spent, used = time.time() - began, time.process_time() - clock
    for line in score.summary(pairs):
        print(line)
    for name, at, limits in (
        ("mean", 0, (-0.001, -0.003, -0.01, -0.03)),
        ("least", 1, (-0.05, -0.1, -0.2, -0.3, -0.5, -0.7)),
    ):
        for limit in limits:
            taken = [one[2] for one in sure if one[at] >= limit]
            print(f"{name} from {limit}: {len(taken) / len(sure):.3f} taken, {np.mean(taken or [0]):.3f} of them right")
    mean = np.mean([len(answer) for _, answer in pairs])
    print(
        f"{len(pairs)} formulas of {mean:.0f} tokens: {len(pairs) / spent:.2f}/s by the clock,"
        f" {len(pairs) / used:.2f} a second of processor time, batches of {args.batch}, {args.threads} threads"
    )


if __name__ == "__main__":
    main()
