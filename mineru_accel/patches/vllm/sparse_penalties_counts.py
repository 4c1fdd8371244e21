"""Presence and frequency penalties, computed for the tokens that each sequence has produced and for no others."""

from __future__ import annotations

from array import array
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor


class OutputTokens:
    """The output tokens of all sequences, as arrays that grow with vLLM's lists: a step reads its new tokens only.

    A list that has become shorter, or that is another one, is read anew. A list that was cut and has grown again since
    the last step (with drafts, and after a failed KV transfer) may look unchanged: set ``reread`` in those cases.
    """

    def __init__(self) -> None:
        self.reread = False
        """Whether every list is read anew in each step."""
        self._known: dict[int, tuple[list[int], array[int]]] = {}
        """id of a list -> the list, kept alive so that no other one gets this id, and its tokens so far."""

    def flat_indices(self, lists: Sequence[list[int]], vocabulary: int) -> npt.NDArray[np.int64]:
        """Indices of B sequences' tokens in a flat ``(B, V)`` table, in any order, each as often as it was produced.

        Args:
            lists: output tokens of each sequence. Placeholders of asynchronous scheduling (-1), which may stand at the
                end, are left out, and so are numbers of V and above.
            vocabulary: V.
        """
        before = {} if self.reread else self._known
        known, rows = {}, []
        for output in lists:
            _, tokens = entry = before.get(id(output)) or (output, array("i"))
            count = len(tokens)
            if count > len(output) or (count and tokens[-1] != output[count - 1]):
                del tokens[:]
                count = 0
            for token in output[count:]:
                if token < 0:
                    break
                tokens.append(token)
            known[id(output)] = entry
            rows.append(tokens)
        self._known = known
        lengths = [len(tokens) for tokens in rows]
        flat = np.frombuffer(b"".join(rows), dtype=np.intc).astype(np.int64)
        starts = np.repeat(np.arange(len(rows), dtype=np.int64) * vocabulary, lengths)
        return (flat + starts)[flat < vocabulary]

    def clear(self) -> None:
        """Forget all tokens, after a step whose lists were not read here."""
        self._known = {}


def penalize(logits: Tensor, indices: Tensor, presence: Tensor, frequency: Tensor) -> Tensor:
    """Subtract ``frequency * count + presence``, in place, from the logits of tokens with count > 0 (OpenAI's formula).

    The results are vLLM's to the last bit: the same operations in the same order on the same numbers.

    Args:
        logits: (B, V) float32, contiguous.
        indices: (N,) int64, see `OutputTokens.flat_indices`.
        presence: (B,) float32.
        frequency: (B,) float32.
    """
    if len(indices) == 0:
        return logits
    indices = indices.sort().values
    counts = torch.searchsorted(indices, indices, right=True) - torch.searchsorted(indices, indices)
    rows = indices // logits.shape[1]
    flat = logits.view(-1)
    values = flat[indices]
    values -= frequency[rows] * counts
    values -= presence[rows]
    flat.scatter_(0, indices, values)  # equal indices get equal values
    return logits
