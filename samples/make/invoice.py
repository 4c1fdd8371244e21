"""``invoice.pdf``: a form with address blocks, key and value pairs, an item table and totals."""

from __future__ import annotations

from pathlib import Path

from .page import Sample
from .tables import Cell, Table
from .typeset import Style

BODY = Style("Sans", 9.4, 12.6)
STRONG = BODY.but(bold=True)
SMALL = Style("Sans", 7.6, 10, color="#444444")
LEFT, RIGHT, WIDTH = 56.0, 330.0, 483.0

ITEMS = Table(
    [
        ["No.", "Article", "Qty", "Unit price", "VAT", "Amount"],
        ["1", "Oak board, planed, 27 × 140 mm, length 2.4 m", "18", "€ 21.40", "19 %", "€ 385.20"],
        ["2", "Larch decking, grooved, 28 × 145 mm, length 4.0 m", "32", "€ 24.95", "19 %", "€ 798.40"],
        ["3", "Stainless screws 5 × 60 mm, box of 200", "6", "€ 17.80", "19 %", "€ 106.80"],
        ["4", "Linseed oil varnish, 5 litres", "2", "€ 46.50", "19 %", "€ 93.00"],
        ["5", "Book “Joints for the Small Workshop”", "1", "€ 28.00", "7 %", "€ 28.00"],
        ["6", "Delivery with crane, Zone B", "1", "€ 85.00", "19 %", "€ 85.00"],
        [Cell("Subtotal", colspan=5, align="right"), "€ 1,496.40"],
        [Cell("VAT 7 % on € 28.00", colspan=5, align="right"), "€ 1.96"],
        [Cell("VAT 19 % on € 1,468.40", colspan=5, align="right"), "€ 279.00"],
        [Cell("**Total due**", colspan=5, align="right"), "**€ 1,777.36**"],
    ],
    [30.0, 217.0, 36.0, 68.0, 46.0, 86.0],
    BODY.but(size=8.8, leading=11.0),
    "llrrrr",
    rules="lines",
    pad=(4.0, 5.0),
    shade="#ece7de",
)


def make(folder: Path) -> None:
    """Write invoice.pdf and its ground truth."""
    sample = Sample(folder / "invoice", title="Invoice 2024-0817")
    sample.new_page()
    sample.fill((LEFT, 48, LEFT + 34, 82), "#7a5230")
    sample.fill((LEFT + 8, 56, LEFT + 26, 74), "#f3ead9")
    sample.region("figure", (LEFT, 48, LEFT + 34, 82), "", "![](images/figure.jpg)")
    name = Style("Sans", 17, 21, bold=True, color="#4c3219")
    sample.text("title", "Hallgren Timber & Joinery", name, (LEFT + 46, 56, 400), prefix="# ")
    sender = "14 Sawmill Lane, 24937 Fördeby · Phone +49 461 555 0142 · office@hallgren-timber.example"
    sample.text("plain text", sender, SMALL, (LEFT, 94, WIDTH))
    sample.rule(LEFT, 110, LEFT + WIDTH, 110, 0.8, "#7a5230")
    sample.text("title", "Invoice", Style("Sans", 15, 19, bold=True), (LEFT, 132, 200), prefix="## ")
    to = "**Bill to**\nMs Ingrid Sørensen\nSørensen Boatyard\n3 Harbour Row\n24960 Glücksholm"
    sample.text("plain text", to, BODY, (LEFT, 172, 220))
    facts = "Invoice no.: 2024-0817\nDate: 17 August 2024\nCustomer no.: 40233\nOrder: phone call of 2 August\n"
    facts += "Payable by: 16 September 2024"
    sample.text("plain text", facts, BODY, (RIGHT, 172, 209))
    ship = "**Ship to**\nSørensen Boatyard, Shed 4\n3 Harbour Row\n24960 Glücksholm"
    sample.text("plain text", ship, BODY, (LEFT, 264, 220))
    terms = "Delivered: 14 August 2024\nCarrier: own lorry\nWeight: 612 kg"
    sample.text("plain text", terms, BODY, (RIGHT, 264, 209))
    bottom = ITEMS.draw(sample, LEFT, 346)
    text = "Please pay by bank transfer and give the invoice number as reference. For payment within ten days you may "
    text += "deduct 2 % from the total. Goods stay our property until they are paid for."
    box = sample.text("plain text", text, BODY.but(align="left"), (LEFT, bottom + 26, WIDTH))
    text = "Account holder: Hallgren Timber & Joinery · IBAN DE02 1203 0000 0000 2020 51 · BIC EXAMDEFFXXX"
    sample.text("plain text", text, BODY, (LEFT, box[3] + 12, WIDTH))
    sample.rule(LEFT, 782, LEFT + WIDTH, 782, 0.4, "#999999")
    foot = "Hallgren Timber & Joinery · Owner: Lena Hallgren · VAT no. DE 999 999 999 · Registered in Fördeby"
    sample.text("abandon", foot, SMALL.but(align="center"), (LEFT, 788, WIDTH), md=None)
    sample.save()
