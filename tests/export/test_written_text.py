"""What can't be text stands in no file of a document, whoever said it."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

from common import FILLER
from pypdf import PdfReader, PdfWriter

from mineru_accel import Pipeline
from mineru_accel.pdf.text_pdf import TextRun, make_text_pdf
from mineru_accel.storage.clean_text import clean

FORMATS = "md,content_list,content_list_v2,middle,model,html,latex,docx,epub"


def test_no_file_has_control_characters(tmp_path: Path) -> None:
    lines = ("It says\x00 so with an escape\x1b[31m, a turn\u202e, a bell\x07 and a mark\ufdd0 that is none,", *FILLER)
    runs = [TextRun(line, 72, 700 - 14 * number, 11) for number, line in enumerate(lines)]
    writer = PdfWriter(PdfReader(io.BytesIO(make_text_pdf(runs, (0, 0, 595, 842)))))
    writer.add_metadata({"/Title": "A\x1btitle\u202e", "/Author": "N\x00one"})
    writer.write(tmp_path / "odd.pdf")
    with Pipeline(workers=1, layout="native", formats=FORMATS) as pipeline:
        result = pipeline.convert(tmp_path / "odd.pdf", tmp_path / "out")
    assert result.error is None and "that is none" in result.markdown
    for file in result.files.values():
        if file.suffix in (".docx", ".epub"):
            archive = zipfile.ZipFile(file)
            texts = [archive.read(n).decode() for n in archive.namelist() if n.endswith((".xml", ".html", ".opf"))]
        else:
            texts = [file.read_text(encoding="utf-8")]
        for text in texts:
            assert clean(text) == text, file.name
            assert not any(escape in text for escape in ("\\u0000", "\\u0007", "\\u001b")), file.name
