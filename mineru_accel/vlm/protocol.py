"""The protocol of engines: what the rest of the program needs to know of whatever runs the VLM."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

from .types import Generated, Patches, Sampling

if TYPE_CHECKING:
    from PIL import Image

    from ..patches.image_patches import Cutter


@runtime_checkable
class VlmEngine(Protocol):
    """Answers prompts about pictures. All methods are called in the event loop of the VLM stage.

    With greedy sampling an answer depends on its request alone, not on other requests in flight.
    """

    name: str
    """For reports: the engine and its weights or addresses."""
    concurrency: int
    """Requests that keep it busy."""
    png: bool
    """Whether it takes pictures as PNG files (bytes), made in the workers, instead of PIL images."""

    cutter: Cutter | None
    """How workers cut pictures, if it takes them as :class:`~.types.Patches`. Known once it is started."""

    async def start(self) -> None:
        """Load the model or find the servers.

        Raises:
            ModelError, EngineError: if it can't be used; the message is one line.
        """
        ...

    async def predict(
        self, picture: Image.Image | bytes | Patches, prompt: str, sampling: Sampling, timeout: float
    ) -> Generated:
        """One generation, within ``timeout`` seconds.

        Raises:
            Refused: if the engine is well and refuses this request.
            EngineDied: if the engine died of it twice, or can't be started again.
            NoAnswer: if anything else went wrong, after the attempts that make sense.
        """
        ...

    async def close(self) -> None:
        """Free everything; may be called twice."""
        ...
