"""The pages of a document on their way: each is taken once, and again only if it was put back."""

from __future__ import annotations

from mineru_accel.conversion.pages import Pages
from mineru_accel.document import PageResult, PageStatus


def result(index: int, status: PageStatus = PageStatus.OK, why_ocr: str | None = None) -> PageResult:
    return PageResult(index, status, why_ocr=why_ocr)


def test_pages_are_taken_in_order_without_those_that_are_done() -> None:
    pages = Pages([2, 5, 7, 9], whole=False)
    pages.finish(1, result(5))
    first, second = pages.take(), pages.take()
    assert [(p.index, p.position) for p in (first, second)] == [(2, 0), (7, 2)]
    assert set(pages.under_way) == {0, 2} and pages.unread
    pages.finish(3, result(9))
    assert not pages.unread
    pages.put_back(second)
    assert pages.unread and pages.take() is second and not pages.unread


def test_counts_and_the_pages_without_a_gap() -> None:
    pages = Pages(range(4))
    for _ in range(4):
        pages.take()
    pages.finish(0, result(0, why_ocr="no text layer"))
    pages.finish(2, result(2, PageStatus.FAILED))
    assert (pages.done, pages.failed, pages.ocr, pages.prefix) == (2, 1, 1, 1)
    pages.finish(1, result(1))
    assert pages.prefix == 3 and set(pages.under_way) == {3}
    assert pages.is_done(2) and not pages.is_done(3)


def test_results_come_in_order_and_only_of_pages_that_are_done() -> None:
    pages = Pages([4, 6, 8])
    for position in (2, 0):
        pages.finish(position, result(pages.indices[position]))
    known = {index: result(index) for index in (8, 6, 4)}
    assert [r.index for r in pages.finished(known)] == [4, 8]
    assert [r.index for r in pages.finished({8: known[8]})] == [8]
