"""What an engine is to the rest of the pipeline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

from .types import Generated, Patches, Sampling

if TYPE_CHECKING:
    from PIL import Image

    from ..models.image_patches import Cutter


@runtime_checkable
class VlmEngine(Protocol):
    """Answers prompts about pictures. Everything is called in the event loop of the VLM stage.

    With greedy sampling an answer depends on the request alone, not on what else is in flight.
    """

    name: str
    """For reports: which engine and which weights or addresses."""
    concurrency: int
    """Requests worth having in flight."""
    png: bool
    """Takes pictures as PNG files (bytes), made in the workers, instead of PIL images."""

    cutter: Cutter | None
    """Takes pictures as :class:`~.types.Patches`, which workers cut so; known once it is started."""

    async def start(self) -> None:
        """Load the model or find the servers.

        Raises:
            ModelError, EngineError: if it can't be used, in one line.
        """
        ...

    async def predict(
        self, picture: Image.Image | bytes | Patches, prompt: str, sampling: Sampling, timeout: float
    ) -> Generated:
        """One generation, within ``timeout`` seconds.

        Raises:
            Refused: this request won't do, the engine is well.
            EngineDied: the engine died with it, more than once or for good.
            NoAnswer: anything else that went wrong, after the attempts that make sense.
        """
        ...

    async def close(self) -> None:
        """Free everything. May be called twice."""
        ...
