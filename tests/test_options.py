"""Options: aliases, and clear refusals."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from mineru_accel.options import Backend, Format, Options


def test_classic_backend_names() -> None:
    assert Options(backend="vlm-vllm-async-engine").backend is Backend.VLM
    assert Options(backend="hybrid-auto-engine").backend is Backend.HYBRID
    assert Options(backend="pipeline").backend is Backend.PIPELINE


def test_formats_from_text() -> None:
    assert Options(formats="md, html").formats == (Format.MD, Format.HTML)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"pages": "1-3", "start": 0}, "either pages or start/end"),
        ({"start": 3, "end": 1}, "before start"),
        ({"pages": "x"}, "page range"),
        ({"formats": ""}, "nothing would be written"),
        ({"formats": "md,pptx"}, "formats"),
        ({"device": "tpu"}, "device"),
        ({"workers": 0}, "workers"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_refusals(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Options(**fields)  # type: ignore[arg-type]


def test_password_is_not_shown() -> None:
    assert "secret" not in repr(Options(password="secret"))
