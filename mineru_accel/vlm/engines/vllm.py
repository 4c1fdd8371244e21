"""vLLM in the care of this process, through MinerU's client for its asynchronous engine."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from ...errors import one_line
from ..errors import EngineError, NoAnswer, Refused
from ..image_patches import Cutter
from ..types import Generated, Patches, Sampling
from ..vllm_host import async_llm as llms
from ..vllm_host.process import apply
from ..vllm_host.supervisor import EngineSupervisor, Replica

_PROMPTS = 256
"""As many are remembered: MinerU has half a dozen."""


_CLIENT = "_accel_mineru_client"
"""An AsyncLLM's attribute for the client that goes with it."""


class LocalVllm:
    """A :class:`~..vllm_host.supervisor.EngineSupervisor`, and MinerU's client beside each of its AsyncLLMs.

    Args:
        model: a folder with a checkpoint.
        args: arguments of vLLM's engine over our defaults.
        replicas: engines on each GPU, or "auto": `arguments.engines_each`.
    """

    png = False

    def __init__(
        self, model: Path, args: Mapping[str, Any] | None = None, replicas: int | Literal["auto"] = "auto"
    ) -> None:
        self.name = f"vllm {model.name}"
        self.concurrency = 1
        self.cutter: Cutter | None = None
        self._engine = EngineSupervisor(model, args=args, replicas=replicas)
        self._count = itertools.count()

    async def start(self) -> None:
        await self._engine.start()
        try:
            seats = [await apply(llm, llms.seats) for llm in self._engine.llms]
            cutters = {await apply(llm, cutter) for llm in self._engine.llms}
        except _failures() as error:
            raise EngineError(
                f"vLLM ended when it had just been started: {one_line(error, 300, named=True)}"
            ) from error
        self.concurrency = sum(n + n // 4 for n in seats)  # so that new ones are ready when old ones leave
        self.cutter = cutters.pop() if len(cutters) == 1 else None

    async def predict(self, picture: Any, prompt: str, sampling: Sampling, timeout: float) -> Generated:
        try:
            return await self._engine.run(
                f"request {next(self._count)}", lambda replica: self._ask(replica, picture, prompt, sampling)
            )
        except _refusals() as error:  # too long for the model, for instance
            raise Refused(f"vLLM: {one_line(error)}") from error
        except _failures() as error:
            raise NoAnswer(f"vLLM: {one_line(error)}") from error

    async def _ask(self, replica: Replica, picture: Any, prompt: str, sampling: Sampling) -> Generated:
        answer: Generated = await apply(replica.llm, generate, picture, prompt, sampling)
        return answer

    async def close(self) -> None:
        await self._engine.close()


def _refusals() -> tuple[type[Exception], ...]:
    """What vLLM raises for a request that won't do: since 0.28 no ValueError any more."""
    from vllm import exceptions

    return ValueError, getattr(exceptions, "VLLMClientError", ValueError)


def _failures() -> tuple[type[Exception], ...]:
    from vllm import exceptions

    return RuntimeError, ConnectionError, getattr(exceptions, "VLLMServerError", RuntimeError)


async def generate(llm: Any, picture: Any, prompt: str, sampling: Sampling) -> Generated:
    """One generation, where the AsyncLLM is."""
    from mineru_vl_utils.vlm_client import SamplingParams

    client = client_of(llm, _CLIENT, client_class)
    answer: Generated = await client.aio_predict(picture, prompt, SamplingParams(**sampling))
    return answer


def client_of(llm: Any, name: str, kind: Callable[[], type]) -> Any:
    """The client that goes with an AsyncLLM, kept as its attribute ``name``; made of ``kind()`` the first time."""
    client = getattr(llm, name, None)
    if client is None:
        client = kind()(llm, allow_truncated_content=True)
        setattr(llm, name, client)
    return client


async def cutter(llm: Any) -> Cutter | None:
    """How the workers may cut pictures for it, where the AsyncLLM is."""
    from ...patches.vllm.qwen2vl_processor import cutter_of

    return cutter_of(llm)


def rendered(llm: Any, tokens: Sequence[int], picture: Patches) -> Any:
    """vLLM's input for a prompt and a picture that a worker cut."""
    import torch

    from ...patches.vllm.qwen2vl_processor import from_patches

    rows, columns = picture.grid
    patches = torch.frombuffer(picture.data, dtype=torch.uint8).view(rows * columns, -1)
    return from_patches(llm, tokens, patches, picture.grid)


class Templates:
    """A tokenizer that remembers its few chat prompts: rendering one takes the event loop as long as a crop does."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._known: dict[str, Any] = {}

    def apply_chat_template(self, messages: Any, **options: Any) -> Any:
        key = repr((messages, options))
        if key not in self._known:
            if len(self._known) > _PROMPTS:
                self._known.clear()
            self._known[key] = self._tokenizer.apply_chat_template(messages, **options)
        return self._known[key]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tokenizer, name)


def client_class() -> type:
    from mineru_vl_utils.vlm_client.vllm_async_engine_client import VllmAsyncEngineVlmClient

    class Client(VllmAsyncEngineVlmClient):
        """MinerU's client; says why a generation ended, and renders and tokenizes each of its few prompts once."""

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.tokenizer: Any = Templates(self.tokenizer)
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
            made = rendered(self.vllm_async_llm, tokens, image)
            outputs = [o async for o in self.vllm_async_llm.generate(made, parameters, uuid.uuid4().hex)]
            return self.get_output_content(outputs[-1])

        def _encoded(self, text: str) -> list[int]:
            if text not in self._tokens:
                if len(self._tokens) > _PROMPTS:
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
