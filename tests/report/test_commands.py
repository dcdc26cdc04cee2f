"""`sabot report`, `compare` and `history`, from outside."""

import json
import sqlite3
import xml.etree.ElementTree as ET
import zlib
from contextlib import closing

import pytest


def remember(sabot, *records):
    """Puts records into the history as the program itself would: it has made the file."""
    sabot("history")
    with closing(sqlite3.connect(sabot.state / "runs.sqlite3")) as db, db:
        for record in records:
            packed = zlib.compress(json.dumps(record).encode())
            row = (record["id"], record["started_at"], record["title"], record.get("variant"), record["verdict"], 1, packed)
            db.execute("INSERT INTO runs (id, started_at, title, variant, verdict, as_expected, record) VALUES (?, ?, ?, ?, ?, ?, ?)", row)


@pytest.fixture
def remembered(sabot, off, on):
    remember(sabot, json.loads(off.read_text()), json.loads(on.read_text()))
    return sabot


def test_a_run_is_shown_by_id_prefix_last_and_file(remembered, off):
    by_id = remembered("report", "20261121-091502-k3v")
    assert by_id.startswith("FAILED  Payments answer 200 ms later (mitigations off)")
    assert remembered("report", "20261121-0915") == by_id == remembered("report", off) == remembered("history", "show", "20261121-0915")
    assert remembered("report").startswith("HELD")
    assert json.loads(remembered("report", "20261121-0915", "-o", "json")) == json.loads(off.read_text())


def test_reports_are_written_where_they_were_asked_for(remembered, tmp_path):
    files = [tmp_path / name for name in ("r.html", "r.md", "r.xml")]
    said = remembered("report", "last", "--html", files[0], "--markdown", files[1], "--junit", files[2])
    assert said == ""
    assert files[0].read_text().startswith("<!doctype html>")
    assert files[1].read_text() == remembered("report", "--markdown", "-")
    suite = ET.fromstring(remembered("report", "20261121-0915", "last", "--junit", "-")).find("testsuite")
    assert suite.attrib["tests"] == "2" and suite.attrib["failures"] == "0"
    properties = {p.attrib["name"]: p.attrib["value"] for p in suite.find("testcase").find("properties")}
    assert properties["verdict"] == "failed" and float(properties["mttr_s"]) == 7


def test_two_runs_are_compared(remembered):
    text = remembered("compare", "20261121-0915", "last")
    assert "mitigations off" in text and "FAILED" in text and "HELD" in text
    comparison = json.loads(remembered("compare", "20261121-0915", "last", "-o", "json"))
    assert (comparison["a"]["verdict"], comparison["b"]["verdict"]) == ("failed", "held")
    assert len(remembered("compare", "20261121-0915", "last", "--short").splitlines()) < len(text.splitlines())


def test_history_lists_and_forgets(remembered):
    runs = json.loads(remembered("history", "-o", "json"))["runs"]
    assert [run["verdict"] for run in runs] == ["held", "failed"]
    assert "20261121-091802-p9w" in remembered("history", "list", "-n", "1")
    assert remembered("history", "remove", "last").startswith("removed 20261121-091802-p9w")
    assert len(json.loads(remembered("history", "-o", "json"))["runs"]) == 1


def test_errors_say_what_to_do(remembered, tmp_path):
    table = [
        (("report", "nothing"), "there is no run `nothing`; `sabot history` lists them all"),
        (("report", "2026"), "write more of it"),
        (("report", "missing.json"), "failed to read missing.json"),
        (("report", "last", "20261121-0915", "--html", "x.html"), "2 runs are named"),
        (("report", "--html", tmp_path / "no" / "x.html"), "does its directory exist"),
        (("history", "list", "-n", "0"), "0 is not in 1..=1000"),
    ]
    for arguments, told in table:
        assert told in remembered(*arguments, fails=True), arguments
    broken = tmp_path / "broken.json"
    broken.write_text('{"format": 1}')
    assert "missing field `id`" in remembered("report", broken, fails=True)


def test_a_file_that_is_no_history_is_told(sabot):
    sabot.state.mkdir()
    (sabot.state / "runs.sqlite3").write_bytes(b"no database, but as long as one " * 200)
    told = sabot("history", fails=True)
    assert "runs.sqlite3" in told and "move it away" in told and "panicked" not in told
