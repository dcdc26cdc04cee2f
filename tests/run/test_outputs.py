"""`sabot run`: what it leaves behind, and that all of it says the same."""

import json
import subprocess
import xml.etree.ElementTree as xml

import pytest

from support.experiment import LIMIT_S, ended
from support.server import BINARY

SHORT = ["--windows", "0,2,1,2"]

# What is asked for that cannot be had -> what is said. `file` is a file, `empty` an empty one.
IMPOSSIBLE = {
    "regressed-from-nothing": (["--fail-on", "regressed"], "--fail-on regressed has nothing to compare"),
    "empty-results": (["--results", "empty.yaml"], "empty.yaml:1:1: must be an object, not null"),
    "no-results": (["--results", "none.yaml"], "none.yaml: failed to read it"),
    "results-nowhere": (["--results", "nowhere/r.yaml", "--update"], "failed to write nowhere/r.yaml"),
    "reports-in-a-file": (["--reports", "file/reports"], "failed to make file/reports"),
    "markdown-nowhere": (["--markdown", "nowhere/a.md"], "failed to write nowhere/a.md"),
    "junit-is-a-folder": (["--junit", "."], "failed to write ."),
}


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_what_cannot_be_used_is_known_before_anything_is_sent(bench, name, monkeypatch):
    monkeypatch.chdir(bench.folder)
    bench.file("", "empty.yaml"), bench.file("x", "file")
    arguments, says = IMPOSSIBLE[name]
    error = bench.refused(bench.experiment(bench.proxy(name)), *arguments)
    assert says in error, error
    left = [path.name for path in bench.folder.iterdir() if path.name.startswith(("a.md", "r.yaml")) or ".part" in path.name]
    assert left == [], "what was tried is gone again"


def test_all_that_is_written_agrees_with_the_exit_code(bench):
    proxy = bench.proxy("gated")
    abort = [{"proxy": "gated", "type": "http_abort", "attributes": {"status": 503}}]
    variants = {"a": {"expect": "degraded"}, "b": {"expect": "held"}}
    bench.file(bench.experiment(proxy, title="One", faults=abort, variants=variants), "gated.yaml")
    windows = {"warm_up": "0s", "baseline": "2s", "fault": "1s", "recovery": "6s"}
    runs = [{"experiment": "gated.yaml", "variant": name} for name in "ab"]
    results = [{"experiment": "One", "variant": "a", "verdict": "held"}, {"experiment": "One", "variant": "b", "verdict": "degraded"}]
    committed = bench.file({"results": results}, "committed.json")
    junit, markdown = bench.folder / "gated.xml", bench.folder / "gated.md"
    schedule = {"title": "Gate", "cool_down": "0s", "windows": windows, "runs": runs}
    file = bench.file(schedule, "gate.yaml")
    gate = ["--fail-on", "regressed", "--results", committed, "--junit", junit, "--markdown", markdown, "--host", bench.server.url.replace("//", "//sabot:hidden@")]
    with bench.start(file, *gate) as process:
        out, said = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 1 and "One (a): it was held, and is degraded" in said and "One (b)" not in said, said
    cases = {case.get("name"): case.find("failure") for case in xml.parse(junit).iter("testcase")}
    assert cases["One (b)"] is None and "it was held, and is degraded" in cases["One (a)"].get("message")
    first, second = markdown.read_text().split("### ")[1:]
    assert "**Fails the build**: One (a): it was held" in first and "Fails the build" not in second
    # What is printed runs it again: the schedule's windows and the server belong to it.
    a, b = json.loads(out)
    for name, record in ("a", a), ("b", b):
        words = f"gated.yaml --variant {name} --windows 0,2,1,6 --host {bench.server.url}"
        assert record["command"].endswith(words), record["command"]
    assert "hidden" not in out + said + junit.read_text() + markdown.read_text()


def test_what_cannot_be_written_takes_nothing_else_along(bench):
    reports, junit = bench.folder / "vanishing", bench.folder / "kept.xml"
    vanish = [{"command": {"argv": ["sh", "-c", f"rm -r {reports} && touch {reports}"]}}]
    experiment = bench.experiment(bench.proxy("kept"), title="Kept all the same", cleanup=vanish)
    bench.file(experiment, "kept.yaml")
    schedule = {"title": "Two", "cool_down": "0s", "runs": [{"experiment": "kept.yaml"}] * 2}
    file = bench.file(schedule, "kept-twice.yaml")
    with bench.start(file, *SHORT, "--reports", reports, "--junit", junit) as process:
        out, said = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 1 and f"failed to write {reports}/" in said, said
    assert [record["title"] for record in json.loads(out)] == ["Kept all the same"] * 2
    assert len(list(xml.parse(junit).iter("testcase"))) == 2
    history = [BINARY, "history", "-o", "json", "--state-dir", str(bench.folder)]
    told = subprocess.run(history, capture_output=True, text=True, timeout=LIMIT_S).stdout
    assert told.count("Kept all the same") == 2, told


def test_results_are_written_where_there_were_none(bench):
    file = bench.folder / "fresh.yaml"
    experiment = bench.experiment(bench.proxy("fresh"), title="Fresh")
    bench.run(experiment, *SHORT, "--fail-on", "regressed", "--results", file, "--update")
    assert "verdict: held" in file.read_text()
    with bench.start(bench.file(experiment), *SHORT, "--fail-on", "regressed", "--results", file) as process:
        ended(process)
