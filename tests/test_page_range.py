"""Page ranges, 1-based and from the end; MinerU's 0-based bounds."""

from __future__ import annotations

import pytest

from mineru_accel.page_range import parse, select


@pytest.mark.parametrize(
    ("text", "count", "expected"),
    [
        ("1-5,8,r3-r1", 20, [0, 1, 2, 3, 4, 7, 17, 18, 19]),
        ("3", 5, [2]),
        ("r1", 5, [4]),
        ("4-", 6, [3, 4, 5]),
        ("-2", 6, [0, 1]),
        ("-r2", 4, [0, 1, 2]),
        ("5-2", 9, [1, 2, 3, 4]),
        ("2,2,1-3", 9, [0, 1, 2]),
        ("1-100", 3, [0, 1, 2]),
        ("r100-2", 3, [0, 1]),
        ("7-9", 3, []),
        (" 1 - 2 , R1 ", 5, [0, 1, 4]),
    ],
)
def test_select(text: str, count: int, expected: list[int]) -> None:
    assert select(count, text) == expected


@pytest.mark.parametrize("text", ["", "a", "1,,2", "0", "1-0", "r0", "1--2", "1-2-3", "1.5", "-", "r"])
def test_parse_refuses(text: str) -> None:
    with pytest.raises(ValueError, match="page range"):
        parse(text)


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (None, None, [0, 1, 2, 3]),
        (1, None, [1, 2, 3]),
        (None, 1, [0, 1]),
        (1, 2, [1, 2]),
        (9, None, []),
        (0, 99, [0, 1, 2, 3]),
    ],
)
def test_start_and_end(start: int | None, end: int | None, expected: list[int]) -> None:
    assert select(4, start=start, end=end) == expected
