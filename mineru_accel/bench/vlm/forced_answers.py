"""Answers of forced length and known text, so that an engine with random weights does the work of a real one.

Every generation has as many tokens as the region's text needs; then that text is used as the answer.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...document import Region
from ...options import Backend
from ...pdf.types import Key, PageSource
from ...reading.blocks import build_draft
from ...reading.source_policy import make_source_policy
from ...reading.vlm_requests import as_mineru_blocks, blocks_with_task, page_image
from ...vlm import mineru_client
from ...vlm.types import Generated, Sampling
from . import forced_length

_CHARS_PER_TOKEN = {"equation": 1.0, "table": 2.0}
"""Characters of a region's text layer for each token of its answer: LaTeX and OTSL are wordier than what they show."""
_CHARS_PER_TEXT_TOKEN = 3.6


class ForcedAnswers:
    """Length and text of the answer to every crop of a document."""

    def __init__(self) -> None:
        self._known: dict[tuple[tuple[int, int], str], tuple[int, str]] = {}
        self.boxes: list[list[dict[str, Any]]] = []
        """Blocks of each page as given to MinerU's client, so that all systems ask for the same crops."""
        self.counts = dict.fromkeys(("requests", "tokens", "guessed"), 0)

    def answer(self, size: tuple[int, int], prompt: str) -> tuple[int, str]:
        """Length in tokens and text of the answer to a crop, by its size in pixels and prompt; counts the request."""
        known = self._known.get((size, prompt))
        tokens, text = known or _guess(size)
        self.counts["requests"] += 1
        self.counts["tokens"] += tokens
        self.counts["guessed"] += known is None
        return tokens, text

    def learn(self, pdf: Path, regions_by_page: list[list[Region]]) -> dict[str, Any]:
        """Take the answer for every crop that MinerU's client makes of the regions from the text layer.

        Returns pages, crops per page and tokens per page.
        """
        key = Key(str(pdf))
        count = tokens = 0
        policy = make_source_policy(Backend.VLM, None, False)
        for index, regions in enumerate(regions_by_page):
            blocks = blocks_with_task(build_draft(key, PageSource(index), regions, policy, 200, index == 0))
            self.boxes.append(as_mineru_blocks(blocks))
            asked, owners = mineru_client.content_requests(page_image(key, index), self.boxes[-1], False, False)
            for one, owner in zip(asked, owners, strict=True):
                task = blocks[owner].task if owner is not None else None
                text = task.text_layer if task else ""
                kind = task.kind if task else "text"
                length = max(4, round(len(text) / _CHARS_PER_TOKEN.get(kind, _CHARS_PER_TEXT_TOKEN)))
                picture: Any = one.picture
                self._known[picture.size, one.prompt] = length, _answer(kind, text)
                count, tokens = count + 1, tokens + length
        pages = index + 1
        return {"pages": pages, "crops_per_page": round(count / pages, 1), "tokens_per_page": round(tokens / pages)}


def _guess(size: tuple[int, int]) -> tuple[int, str]:
    """Answer to an unknown crop (of a region that the detector found a little differently)."""
    tokens = max(4, size[0] * size[1] // 3000)
    return tokens, " ".join(["word"] * tokens)


def _answer(kind: str, text: str) -> str:
    """A plausible answer of the VLM with the words of ``text``."""
    text = text.replace("\\", " ")
    if kind == "table":
        words = text.split() or ["-"]
        rows = [words[i : i + 6] for i in range(0, len(words), 6)]
        return "".join("".join(f"<fcel>{w}" for w in row) + "<ecel>" * (6 - len(row)) + "<nl>" for row in rows)
    if kind == "equation":
        return "\\[" + " ".join(c for c in text if c.isalnum() or c in "+-=()") + "\\]"
    return text


def forced_engine(model: Path, args: dict[str, Any], replicas: int | None, answers: ForcedAnswers) -> Any:
    """vLLM on the first GPU whose generations have the lengths, and whose answers have the texts, of ``answers``."""
    from ...vlm.engines.vllm import VllmEngine
    from ...vlm.vllm_host.process import apply
    from ...vlm.vllm_host.supervisor import EngineSupervisor

    class ForcedVllm(VllmEngine):
        def __init__(self, model: Path, args: dict[str, Any]) -> None:
            super().__init__(model)
            self.supervisor = EngineSupervisor(model, args=args, replicas=replicas or "auto", devices=[0])

        @property
        def llm(self) -> Any:
            return self.supervisor.llm

        async def generate_on(self, replica: Any, picture: Any, prompt: str, sampling: Sampling) -> Generated:
            tokens, text = answers.answer(picture.size, prompt)
            await apply(replica.llm, forced_length.generate_as_mineru_accel, picture, prompt, sampling, tokens)
            return Generated(text)

    return ForcedVllm(model, args)
