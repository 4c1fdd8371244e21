"""Presence and frequency penalties of the tokens that were said alone: what `vllm-sparse-penalties` puts in place."""

from __future__ import annotations

import torch
from torch import Tensor


def penalize(logits: Tensor, tokens: Tensor, presence: Tensor, frequency: Tensor) -> Tensor:
    """Subtract ``frequency * count + presence``, in place, from the logits of tokens that were said (OpenAI's formula).

    The results are vLLM's to the last bit: the same operations in the same order on the same numbers.

    Args:
        logits: (B, V) float32.
        tokens: (B, T) int64, those of each row so far in any order; numbers of V and above are padding.
        presence: (B,) float32.
        frequency: (B,) float32.
    """
    size = logits.shape[1]
    if tokens.shape[1] == 0:
        return logits
    said = tokens.sort(dim=1).values
    places = torch.where(said < size, said, said[:, :1])  # padding, at the end, repeats the row's first token
    counts = torch.searchsorted(said, places, right=True) - torch.searchsorted(said, places)
    silent = places >= size  # rows that are nothing but padding
    places.masked_fill_(silent, 0)
    counts.masked_fill_(silent, 0)
    values = logits.gather(1, places)
    values -= frequency.unsqueeze(1) * counts
    values -= presence.unsqueeze(1) * (counts > 0)
    return logits.scatter_(1, places, values)  # equal places get equal values
