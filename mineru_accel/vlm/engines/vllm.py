"""vLLM as processes of this program, asked through MinerU's client for vLLM's asynchronous engine."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from ...errors import one_line
from ...patches.image_patches import Cutter
from ..errors import EngineError, NoAnswer, Refused
from ..types import Generated, Patches, Sampling
from ..vllm_host import async_llm
from ..vllm_host.process import apply
from ..vllm_host.supervisor import EngineSupervisor, Replica

_MAX_PROMPTS = 256
"""Prompts that are kept; MinerU has half a dozen."""
_CLIENT = "_accel_mineru_client"
"""Attribute of an AsyncLLM: the client that goes with it."""


class VllmEngine:
    """A :class:`~..protocol.VlmEngine`: replicas of vLLM, with MinerU's client beside each of their AsyncLLMs.

    Args:
        model: a folder with a checkpoint.
        args: arguments of vLLM's engine over our defaults.
        replicas: on each GPU, or "auto": `arguments.replicas_per_gpu`.
    """

    png = False

    def __init__(
        self, model: Path, args: Mapping[str, Any] | None = None, replicas: int | Literal["auto"] = "auto"
    ) -> None:
        self.name = f"vllm {model.name}"
        self.concurrency = 1
        self.cutter: Cutter | None = None
        self.supervisor = EngineSupervisor(model, args=args, replicas=replicas)
        self._count = itertools.count()

    async def start(self) -> None:
        await self.supervisor.start()
        try:
            sequences = [await apply(llm, async_llm.max_sequences) for llm in self.supervisor.llms]
            cutters = {await apply(llm, find_cutter) for llm in self.supervisor.llms}
        except _failures() as error:
            what = one_line(error, 300, named=True)
            raise EngineError(f"vLLM ended when it had just been started: {what}") from error
        self.concurrency = sum(n + n // 4 for n in sequences)  # a quarter waits, ready when a sequence ends
        self.cutter = cutters.pop() if len(cutters) == 1 else None

    async def predict(self, picture: Any, prompt: str, sampling: Sampling, timeout: float) -> Generated:
        try:
            return await self.supervisor.run(
                f"request {next(self._count)}", lambda replica: self.generate_on(replica, picture, prompt, sampling)
            )
        except _refusals() as error:  # too long for the model, for instance
            raise Refused(f"vLLM: {one_line(error)}") from error
        except _failures() as error:
            raise NoAnswer(f"vLLM: {one_line(error)}") from error

    async def generate_on(self, replica: Replica, picture: Any, prompt: str, sampling: Sampling) -> Generated:
        """One generation on a replica."""
        answer: Generated = await apply(replica.llm, generate, picture, prompt, sampling)
        return answer

    async def close(self) -> None:
        await self.supervisor.close()


def _refusals() -> tuple[type[Exception], ...]:
    """Exceptions of vLLM for requests that it refuses: ValueError before 0.28."""
    from vllm import exceptions

    return ValueError, getattr(exceptions, "VLLMClientError", ValueError)


def _failures() -> tuple[type[Exception], ...]:
    """Exceptions of vLLM for an engine that has failed."""
    from vllm import exceptions

    return RuntimeError, ConnectionError, getattr(exceptions, "VLLMServerError", RuntimeError)


async def generate(llm: Any, picture: Any, prompt: str, sampling: Sampling) -> Generated:
    """One generation; called in the process that has the AsyncLLM."""
    from mineru_vl_utils.vlm_client import SamplingParams

    client = client_of(llm, _CLIENT, client_class)
    answer: Generated = await client.aio_predict(picture, prompt, SamplingParams(**sampling))
    return answer


def client_of(llm: Any, name: str, kind: Callable[[], type]) -> Any:
    """The client that goes with an AsyncLLM, kept as its attribute ``name``; the first time one of class ``kind()``."""
    client = getattr(llm, name, None)
    if client is None:
        client = kind()(llm, allow_truncated_content=True)
        setattr(llm, name, client)
    return client


async def find_cutter(llm: Any) -> Cutter | None:
    """How workers may cut pictures for an AsyncLLM; called in the process that has it."""
    from ...patches.vllm.fast_processor_qwen2vl import cutter_of

    return cutter_of(llm)


def engine_input(llm: Any, tokens: Sequence[int], picture: Patches) -> Any:
    """vLLM's input for a prompt and a picture that a worker has cut."""
    import torch

    from ...patches.vllm.fast_processor_qwen2vl import from_patches

    rows, columns = picture.grid
    patches = torch.frombuffer(picture.data, dtype=torch.uint8).view(rows * columns, -1)
    return from_patches(llm, tokens, patches, picture.grid)


class CachingTokenizer:
    """A tokenizer that keeps its few chat prompts: rendering one takes the event loop as long as a crop does."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._known: dict[str, Any] = {}

    def apply_chat_template(self, messages: Any, **options: Any) -> Any:
        key = repr((messages, options))
        if key not in self._known:
            if len(self._known) > _MAX_PROMPTS:
                self._known.clear()
            self._known[key] = self._tokenizer.apply_chat_template(messages, **options)
        return self._known[key]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tokenizer, name)


def client_class() -> type:
    """MinerU's client with what this project adds; a function, since its base class imports vLLM."""
    from mineru_vl_utils.vlm_client.vllm_async_engine_client import VllmAsyncEngineVlmClient

    class Client(VllmAsyncEngineVlmClient):
        """Says why a generation ended, takes pictures as patches, and renders and tokenizes each prompt once."""

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.tokenizer: Any = CachingTokenizer(self.tokenizer)
            self._tokens: dict[str, list[int]] = {}

        async def aio_predict(
            self, image: Any, prompt: str = "", sampling_params: Any = None, priority: int | None = None
        ) -> Any:
            if not isinstance(image, Patches):
                return await super().aio_predict(image, prompt, sampling_params, priority)
            text = self.tokenizer.apply_chat_template(
                self.build_messages(prompt, 1), tokenize=False, add_generation_prompt=True
            )
            parameters = self.build_vllm_sampling_params(sampling_params)
            tokens = self._encoded(text)
            prepared = engine_input(self.vllm_async_llm, tokens, image)
            outputs = [o async for o in self.vllm_async_llm.generate(prepared, parameters, uuid.uuid4().hex)]
            return self.get_output_content(outputs[-1])

        def _encoded(self, text: str) -> list[int]:
            if text not in self._tokens:
                if len(self._tokens) > _MAX_PROMPTS:
                    self._tokens.clear()
                self._tokens[text] = self.tokenizer.encode(text)
            return self._tokens[text]

        async def _render_vllm_cmpl_input(self, raw_prompt: dict[str, Any]) -> dict[str, Any]:
            text = raw_prompt.get("prompt")
            if isinstance(text, str):
                raw_prompt = {k: v for k, v in raw_prompt.items() if k != "prompt"}
                raw_prompt["prompt_token_ids"] = list(self._encoded(text))
            return await super()._render_vllm_cmpl_input(raw_prompt)

        def get_output_content(self, output: Any) -> Generated:  # type: ignore[override]
            return Generated(super().get_output_content(output), output.outputs[0].finish_reason == "length")

    return Client
