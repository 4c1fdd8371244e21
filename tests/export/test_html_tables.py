"""Rows and cells of HTML tables."""

from __future__ import annotations

from mineru_accel.export.html_tables import Cell, parse_tables, placed


def test_text_and_inner_html() -> None:
    html = '<p>before</p><table><tr><th rowspan=2 colspan="0">A <b>&amp;</b><br>B</th><td>c<td>&#233;</tr></table>'
    (((first, *rest),),) = parse_tables(html)
    assert first == Cell("A & B", {"rowspan": 2, "colspan": 0}) and (first.rows, first.columns) == (2, 1)
    assert [cell.content for cell in rest] == ["c", "é"]
    (((first, *rest),),) = parse_tables(html, inner_html=True)
    assert first.content == "A <b>&amp;</b><br>B" and [cell.content for cell in rest] == ["c", "&#233;"]


def test_several_tables_and_rows_outside_of_one() -> None:
    tables = parse_tables("<tr><td>1</td></tr><table><tr><td>2</td></tr></table><table></table><tr><td>3</td></tr>")
    assert [[[cell.content for cell in row] for row in table] for table in tables] == [[["1"]], [["2"]], [["3"]]]
    assert parse_tables("no table") == []


def test_places() -> None:
    (table,) = parse_tables("<table><tr><td rowspan=2>a<td colspan=2>b<tr><td rowspan=2>c<td>d<tr><td>e<td>f</table>")
    assert [(row, column, cell.content) for row, column, cell in placed(table)] == [
        *((0, 0, "a"), (0, 1, "b"), (1, 1, "c"), (1, 2, "d"), (2, 0, "e"), (2, 2, "f")),
    ]
