"""Jobs know their function by its name, as another process finds it."""

from __future__ import annotations

from pathlib import Path

import pytest
import worker_jobs
from common import PATIENCE, SAMPLES

from mineru_accel.pdf import jobs as pdf
from mineru_accel.workers import protocol


def test_functions_without_a_name_are_refused() -> None:
    with pytest.raises(ValueError, match="can't be imported"):
        protocol.job(lambda: None, PATIENCE)

    def nested() -> None: ...

    with pytest.raises(ValueError, match=r"nested of .* can't be imported"):
        protocol.job(nested, PATIENCE)
    nested.__qualname__, nested.__module__ = "nested", "__main__"
    with pytest.raises(ValueError, match="nested of __main__ can't be imported"):
        protocol.job(nested, PATIENCE)


def test_name_arguments_and_call() -> None:
    one = protocol.job(worker_jobs.square, 2.0, "the subject", x=3)
    assert (one.function, one.name, one.what, one.timeout) == ("worker_jobs:square", "square", "the subject", 2.0)
    assert (one.args, one.kwargs, one.complete, one.alone) == ((), {"x": 3}, False, False)
    assert one.call() == 9
    assert protocol.job(Path.exists, 1.0, "", SAMPLES).call() is True  # a function in a class
    assert protocol.function_name(pdf.read) == "mineru_accel.pdf.jobs:read"
