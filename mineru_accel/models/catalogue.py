"""All models that this package looks for by itself."""

from __future__ import annotations

from .layout_weights import layout_model
from .locate import Model
from .vlm_weights import vlm_model


def list_models() -> list[Model]:
    """Every model, and every place where it is looked for."""
    return [layout_model(), vlm_model()]
