"""``report.pdf``: a yearly report in one column with lists, notes and tables, one of them on a turned page."""

from __future__ import annotations

from pathlib import Path

from .page import Frame, Sample
from .tables import Cell, Table
from .typeset import Style

BODY = Style("Carlito", 11, 14.2, "left")
HEAD = Style("Carlito", 14.5, 18, bold=True, color="#123d5e")
SMALL = Style("Carlito", 9, 11, color="#333333")
CAPTION = Style("Carlito", 9.6, 12, bold=True)
CELL = Style("Carlito", 9.6, 11.6)
LEFT, WIDTH = 71.0, 453.0

OPENING = [
    "The library lent 48,310 items in 2023, an increase of 12 % over the year before and the first time since 2009 "
    "that lending has grown in both halves of the year. Most of the growth came from the tool library, which opened "
    "in March, and from the new evening hours on Tuesdays and Thursdays. Visits rose more slowly, by 4 %, because "
    "more members now reserve online and come only to collect.",
    "The building was closed for nine days in August while the lift was replaced. No other service was interrupted. "
    "At the end of the year the library had 6,204 active members, of whom 1,877 are younger than sixteen.",
]
GOALS = "The board had set four goals for the year. Three of them were reached:"
LIST = [
    "open the tool library with at least 150 tools (reached in May; 212 tools by December);",
    "offer a reading group in a language other than English (Portuguese, since September);",
    "bring the waiting time for reserved items below five days (4.2 days on average);",
    "repair the roof above the reading room (not reached; the builder has been booked for April 2024).",
]
MONEY = [
    "Income and expenses are shown on the next page. The grant from the county covers wages and rent; everything "
    "else is paid from fees, gifts and the sale of withdrawn books. The surplus of £3,940 goes into the roof fund, "
    "which stood at £21,600 at the end of December.",
]
STAFF = [
    "Five people work at the library, three of them part-time, together with thirty-one volunteers. Volunteers gave "
    "2,460 hours, mostly at the returns desk and in the tool library, where every tool is tested before it is lent "
    "again. Ms Abiola Danso retired in June after twenty-six years; the children’s room now bears her name.",
]

LENDING = Table(
    [
        ["Kind", "2022", "2023", "Change"],
        ["Books for adults", "21,940", "22,615", "+3 %"],
        ["Books for children", "14,082", "15,730", "+12 %"],
        ["Films and music", "4,871", "3,902", "−20 %"],
        ["Tools and instruments", "–", "4,118", "new"],
        ["Games", "2,240", "1,945", "−13 %"],
        ["Total", "43,133", "48,310", "+12 %"],
    ],
    [173.0, 90.0, 90.0, 100.0],
    CELL,
    "lrrr",
    shade="#dfe9f1",
)
BUDGET = Table(
    [
        [
            Cell("Item", rowspan=2),
            Cell("Planned (£)", colspan=2, align="center"),
            Cell("Actual (£)", colspan=2, align="center"),
        ],
        ["Income", "Expense", "Income", "Expense"],
        ["County grant", "118,000", "", "118,000", ""],
        ["Fees and fines", "9,500", "", "11,270", ""],
        ["Gifts and sales", "6,000", "", "8,415", ""],
        ["Wages", "", "84,200", "", "85,030"],
        ["Rent and heating", "", "31,000", "", "30,615"],
        ["Books and media", "", "14,300", "", "14,180"],
        ["Tools", "", "4,000", "", "3,920"],
        ["Sum", "133,500", "133,500", "137,685", "133,745"],
    ],
    [145.0, 77.0, 77.0, 77.0, 77.0],
    CELL,
    "lrrrr",
    header=2,
    rules="booktabs",
    pad=(5.0, 2.8),
)
VISITS = Table(
    [
        [
            "Day",
            "Opening hours",
            "Visits in spring",
            "Visits in summer",
            "Visits in autumn",
            "Visits in winter",
            "Busiest hour",
        ],
        ["Monday", "closed", "–", "–", "–", "–", "–"],
        ["Tuesday", "10:00–20:00", "2,310", "1,945", "2,488", "2,702", "17:00–18:00"],
        ["Wednesday", "10:00–18:00", "2,004", "1,702", "2,119", "2,050", "15:00–16:00"],
        ["Thursday", "10:00–20:00", "2,275", "1,880", "2,401", "2,633", "17:00–18:00"],
        ["Friday", "10:00–18:00", "1,850", "1,511", "1,930", "1,874", "16:00–17:00"],
        ["Saturday", "9:00–14:00", "2,940", "2,106", "3,015", "3,322", "10:00–11:00"],
        ["Sunday", "closed; returns by the hatch", "", "", "", "", ""],
    ],
    [78.0, 130.0, 96.0, 102.0, 98.0, 94.0, 96.0],
    CELL,
    "llrrrrc",
    shade="#dfe9f1",
    pad=(5.0, 4.5),
)


def _furniture(sample: Sample, width: float) -> None:
    sample.text("abandon", "Brook Street Library · Annual Report 2023", SMALL, (LEFT, 38, width), md=None)


def _number(sample: Sample, width: float) -> None:
    text = f"Page {len(sample.pages)} of 3"
    sample.text("abandon", text, SMALL.but(align="right"), (LEFT, sample.height - 46, width), md=None)


def make(folder: Path) -> None:
    """Write report.pdf and its ground truth."""
    sample = Sample(folder / "report", title="Brook Street Library: Annual Report 2023")
    sample.new_page()
    _furniture(sample, WIDTH)
    frame = Frame(LEFT, 84, WIDTH, 780)
    sample.text("title", "Annual Report 2023", HEAD.but(size=24.0, leading=30.0), frame, prefix="# ", after=18)
    sample.text("title", "1 The year in short", HEAD, frame, prefix="## ", after=8)
    for text in OPENING:
        sample.text("plain text", text, BODY, frame, after=9)
    frame.y += 9
    sample.text("title", "2 Goals", HEAD, frame, prefix="## ", after=8)
    sample.text("plain text", GOALS, BODY, frame, after=7)
    for item in LIST:
        sample.item(item, BODY, frame, after=6)
    frame.y += 12
    sample.text("title", "3 Money", HEAD, frame, prefix="## ", after=8)
    for text in MONEY:
        sample.text("plain text", text, BODY, frame, after=9)
    frame.y += 9
    sample.text("title", "4 People", HEAD, frame, prefix="## ", after=8)
    for text in STAFF:
        sample.text("plain text", text, BODY, frame, after=9)
    _number(sample, WIDTH)

    sample.new_page()
    _furniture(sample, WIDTH)
    frame = Frame(LEFT, 84, WIDTH, 780)
    sample.text("title", "5 Lending", HEAD, frame, prefix="## ", after=8)
    text = "Table 1 compares the two years. Films and music continue to fall everywhere in the county; the shelf that "
    text += "they leave free now holds the board games."
    sample.text("plain text", text, BODY, frame, after=16)
    sample.text("table_caption", "Table 1: Items lent, by kind", CAPTION, frame, after=6)
    frame.y = LENDING.draw(sample, LEFT, frame.y) + 6
    note = "Tools were not lent before March 2023. Renewals are counted as new loans."
    sample.text("table_footnote", note, SMALL, frame, after=26)
    sample.text("title", "6 Income and expenses", HEAD, frame, prefix="## ", after=8)
    text = "All sums are in pounds and rounded to five. The accounts were audited by Farrow & Sons on 12 February 2024 "
    text += "and approved without remarks."
    sample.text("plain text", text, BODY, frame, after=16)
    sample.text("table_caption", "Table 2: Planned and actual budget for 2023", CAPTION, frame, after=6)
    frame.y = BUDGET.draw(sample, LEFT, frame.y) + 6
    note = "Heating includes a refund of £1,120 for the days on which the building was closed."
    sample.text("table_footnote", note, SMALL, frame)
    _number(sample, WIDTH)

    sample.new_page(rotate=90)
    wide = 700.0
    _furniture(sample, wide)
    frame = Frame(LEFT, 84, wide, 540)
    sample.text("title", "7 Visits", HEAD, frame, prefix="## ", after=8)
    text = "Visits are counted by the gate at the front door. Table 3 gives the sums for each day of the week; the "
    text += "evening hours on Tuesday and Thursday bring about four hundred people a month who came at no other time."
    sample.text("plain text", text, BODY, frame, after=18)
    sample.text("table_caption", "Table 3: Visits by day of the week and season", CAPTION, frame, after=6)
    frame.y = VISITS.draw(sample, LEFT, frame.y) + 6
    note = "Spring begins on 1 March. The nine days in August without visits are counted as zero."
    sample.text("table_footnote", note, SMALL, frame, after=20)
    text = "In 2024 the library will open on Sunday afternoons from October to March as a trial. The board will decide "
    text += "in May whether to go on."
    sample.text("plain text", text, BODY, frame)
    _number(sample, wide)
    sample.save()
