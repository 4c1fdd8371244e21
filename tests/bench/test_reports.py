"""The form that every benchmark's results have."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from mineru_accel import InputError
from mineru_accel.bench import BENCHMARKS, run
from mineru_accel.bench.report import plots
from mineru_accel.bench.report.output import add_output, finish
from mineru_accel.bench.report.report import Chart, Column, Report, load, markdown

COLUMNS = (Column("case", "files"), Column("system", "system"), Column("pages_per_s", "pages/s", ".2f"))


def report() -> Report:
    made = Report("pipeline", COLUMNS, Chart("Conversions", "pages_per_s", "pages/s"), ["a b.pdf", "--repeats", "3"])
    made.rows.append({"case": "a|b", "system": "mineru-accel", "pages_per_s": 2.0, "stages_ms": {"layout": 3.0}})
    made.rows.append({"case": "a|b", "system": "other", "pages_per_s": None})
    made.leave_out("third", "it is not here")
    return made


def arguments(*argv: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_output(parser)
    return parser.parse_args(argv)


def test_json_says_what_where_when_and_how(capsys: pytest.CaptureFixture[str]) -> None:
    finish(report(), arguments("--json"))
    data = json.loads(capsys.readouterr().out)
    assert data["command"] == "mineru-accel bench pipeline 'a b.pdf' --repeats 3"
    assert data["machine"]["cores"] >= 1 and data["machine"]["cpu"] and len(data["machine"]["load"]) == 2
    assert {"python", "mineru-accel", "mineru"} <= set(data["versions"])
    assert data["not_run"] == [{"system": "third", "why": "it is not here"}]
    assert len(data["date"]) == 10


def test_markdown() -> None:
    lines = markdown(report().to_dict()).splitlines()
    assert lines[4:8] == [
        "| files | system | pages/s |",
        "|---|---|---|",
        "| a\\|b | mineru-accel | 2.00 |",
        "| a\\|b | other | - |",
    ]
    assert "- No figure for third: it is not here" in lines


def test_out_has_all_three_and_can_be_read_back(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    finish(report(), arguments("--out", str(tmp_path / "new")))
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == ["pipeline.json", "pipeline.md", "pipeline.svg"]
    assert load(tmp_path / "new" / "pipeline.json")["rows"][0]["system"] == "mineru-accel"
    svg = ElementTree.parse(tmp_path / "new" / "pipeline.svg").getroot()
    words = " ".join("".join(e.itertext()) for e in svg.iter("{http://www.w3.org/2000/svg}text"))
    assert "mineru-accel" in words and "pages/s" in words and "other" not in words


def test_plots_of_several_reports_are_the_same_each_time(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    source = tmp_path / "r.json"
    source.write_text(json.dumps(report().to_dict()))
    for folder in ("one", "two"):
        assert run(["plot", str(source), str(source), "-o", str(tmp_path / folder)]) == 0
    for name in ("throughput.svg", "stages.svg"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_nothing_to_draw_is_said(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    assert plots.draw_throughput([], tmp_path / "x.svg") == "nothing was measured"
    assert plots.draw_stages([], tmp_path / "x.svg")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("content", ["", "[1]", "{}", '{"format": 99}'])
def test_other_files_are_no_reports(tmp_path: Path, content: str) -> None:
    (tmp_path / "r.json").write_text(content)
    with pytest.raises(InputError, match=r"r\.json"):
        load(tmp_path / "r.json")


def test_every_benchmark_has_help(capsys: pytest.CaptureFixture[str]) -> None:
    for name in BENCHMARKS:
        with pytest.raises(SystemExit) as end:
            run([name, "--help"])
        assert end.value.code == 0
        assert f"mineru-accel bench {name}" in capsys.readouterr().out
    assert run([]) == 2
    assert run(["--help"]) == 0


def test_a_gpu_beside_a_cpu_is_drawn_on_a_log_scale(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    slow, fast = report().to_dict(), report().to_dict()
    fast["rows"][0]["pages_per_s"] = 1000.0
    slow["machine"]["load"], slow["machine"]["cores"] = [9.0, 9.0], 2
    assert plots.draw_throughput([slow, fast], tmp_path / "both.svg") is None
    text = (tmp_path / "both.svg").read_text()
    assert "machine busy: load 9.0" in text and "1000" in text


def test_vlm_pipeline_and_layout_speak_the_same_form(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from types import SimpleNamespace

    from mineru_accel.bench.layout.benchmark import LayoutBenchmark
    from mineru_accel.bench.vlm.bench_vlm_pipeline import VlmPipelineResults

    lines = VlmPipelineResults(tmp_path / "vlm.json", ["x.pdf"], "8 pages of x.pdf, VLM")
    lines.add("start", {"seconds": 1.0})
    lines.add("vlm", {"pages_per_second": 4.0, "seconds": 2.0})
    lines.add("hybrid", {"error": "RuntimeError: no"})
    written = load(tmp_path / "vlm.json")
    assert [(r["system"], r["pages_per_s"]) for r in written["rows"]] == [("mineru-accel -b vlm", 4.0)]
    assert written["not_run"] == [{"system": "mineru-accel -b hybrid", "why": "RuntimeError: no"}]
    assert "| 8 pages of x.pdf, VLM | mineru-accel -b vlm | 4.00 |" in markdown(written)

    results = {
        "forward": {"ms": {8: 8.0, "32/8": 1.0}}, "pages at layout size": 500.0, "predict at layout size": 20.0,
        "patched at layout size": 80.0, "patched boxes at layout size": {"matched": 1}, "compile 32": 64.0, "sizes": {},
    }  # fmt: skip
    bench = SimpleNamespace(results=results, model=SimpleNamespace(name="scale m"), failed=["layers"])
    rows = LayoutBenchmark.report(bench, []).rows  # type: ignore[arg-type]
    assert [(r["case"].rpartition(": ")[2], r["system"], r["pages_per_s"]) for r in rows] == [
        ("network alone, batch 32", "torch.compile(max-autotune)", 500.0),
        ("network alone, batch 8", "mineru-accel", 1000.0),
        ("whole pages, at layout size", "mineru-accel", 500.0),
        ("whole pages, at layout size", "doclayout_yolo predict", 20.0),
        ("whole pages, at layout size", "doclayout_yolo predict, patched", 80.0),
    ]
