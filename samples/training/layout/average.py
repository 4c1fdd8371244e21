"""The weighted mean of two checkpoints of one training.

``python -m samples.training.layout.average A.pt B.pt SHARE OUT.pt``
SHARE is B's. Flatter minima lie between the ends of legs that follow one another (Izmailov et al., arXiv 1803.05407).
"""

import sys

import torch


def main(first: str, second: str, share: str, out: str) -> None:
    """Write the mean; what is no float (counters) is the second's."""
    a, b = (torch.load(path, map_location="cpu", weights_only=True) for path in (first, second))
    weight = float(share)
    torch.save({k: torch.lerp(a[k], v, weight) if v.is_floating_point() else v for k, v in b.items()}, out)


if __name__ == "__main__":
    main(*sys.argv[1:])
