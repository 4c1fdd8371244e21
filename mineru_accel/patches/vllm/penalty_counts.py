"""Presence and frequency penalties of the tokens that were said alone: what `vllm-sparse-penalties` puts in place."""

from __future__ import annotations

from array import array
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor


class Said:
    """What sequences have said, as arrays that grow with vLLM's lists: a step looks at its new tokens only.

    A list that has become shorter, or another one, is read anew. One that was cut and has grown again since the last
    step, which happens with drafts and after a failed KV transfer, may look as before: set ``forgets`` there.
    """

    def __init__(self) -> None:
        self.forgets = False
        """Whether every list is read anew in each step."""
        self._known: dict[int, tuple[list[int], array[int]]] = {}
        """id of a list -> itself, so that no other one gets this id, and its tokens."""

    def places(self, lists: Sequence[list[int]], vocabulary: int) -> npt.NDArray[np.int64]:
        """Where in a flat (B, V) table the tokens of B lists are, in any order, each as often as it was said.

        Args:
            lists: tokens; placeholders of asynchronous scheduling (-1), which may be at the end, are left out, and so
                are numbers of V and above.
            vocabulary: V.
        """
        before = {} if self.forgets else self._known
        known, rows = {}, []
        for said in lists:
            _, held = one = before.get(id(said)) or (said, array("i"))
            count = len(held)
            if count > len(said) or (count and held[-1] != said[count - 1]):
                del held[:]
                count = 0
            for token in said[count:]:
                if token < 0:
                    break
                held.append(token)
            known[id(said)] = one
            rows.append(held)
        self._known = known
        lengths = [len(held) for held in rows]
        tokens = np.frombuffer(b"".join(rows), dtype=np.intc).astype(np.int64)
        starts = np.repeat(np.arange(len(rows), dtype=np.int64) * vocabulary, lengths)
        return (tokens + starts)[tokens < vocabulary]

    def clear(self) -> None:
        """Forget all: a step was not looked at."""
        self._known = {}


def penalize(logits: Tensor, places: Tensor, presence: Tensor, frequency: Tensor) -> Tensor:
    """Subtract ``frequency * count + presence``, in place, from the logits of tokens that were said (OpenAI's formula).

    The results are vLLM's to the last bit: the same operations in the same order on the same numbers.

    Args:
        logits: (B, V) float32, contiguous.
        places: (N,) int64, see `Said.places`.
        presence: (B,) float32.
        frequency: (B,) float32.
    """
    if len(places) == 0:
        return logits
    places = places.sort().values
    counts = torch.searchsorted(places, places, right=True) - torch.searchsorted(places, places)
    rows = places // logits.shape[1]
    flat = logits.view(-1)
    values = flat[places]
    values -= frequency[rows] * counts
    values -= presence[rows]
    flat.scatter_(0, places, values)  # equal places get equal values
    return logits
