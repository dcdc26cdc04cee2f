"""The HTML report in a real browser: its pictures are drawn, nothing is missing, nothing complains."""

import json
import re
import struct

import pytest

from support.browser import measure, pdf, screenshot

# Of each picture its size on the page, its lines, and whether a line leaves the picture.
PICTURES = """() => [...document.querySelectorAll("svg.plot")].map(svg => {
  const box = svg.getBoundingClientRect();
  const lines = [...svg.querySelectorAll("path")].filter(path => path.getAttribute("fill") === "none");
  const boxes = lines.map(line => line.getBBox());
  return {
    id: svg.id,
    title: svg.querySelector("title").textContent,
    width: box.width, height: box.height,
    lines: lines.filter(line => line.getTotalLength() > 20).length,
    widest: Math.max(0, ...boxes.map(b => b.width)),
    cells: svg.querySelectorAll("rect").length,
    words: [...svg.querySelectorAll("text")].map(text => text.textContent),
    stroke: lines.length ? getComputedStyle(lines[0]).stroke : "",
  };
})"""


@pytest.fixture
def page(sabot, off, tmp_path):
    path = tmp_path / "report.html"
    sabot("report", off, "--html", path)
    return path


def test_pictures_are_drawn(page):
    pictures, console = measure(page, PICTURES)
    assert console == []
    by_id = {picture["id"]: picture for picture in pictures}
    assert list(by_id) == ["latency", "errors", "rates", "heat", "recovery", "endpoint-0", "endpoint-1", "endpoint-2", "sli-0"]
    for name, picture in by_id.items():
        full = name in ("latency", "errors", "rates", "heat", "recovery")
        assert picture["width"] > (900 if full else 400) and picture["height"] > 150, picture
        assert len(picture["title"]) > 20, picture
        # A variable that the page does not set would leave the line black or away.
        assert picture["stroke"] not in ("rgb(0, 0, 0)", "none"), picture
    lines = {name: picture["lines"] for name, picture in by_id.items() if name != "heat"}
    assert all(count >= 1 for count in lines.values()), lines
    assert lines["latency"] >= 3 and lines["endpoint-2"] >= 3, lines
    for name in ("latency", "errors", "rates", "recovery"):
        assert by_id[name]["widest"] > 800, by_id[name]
    assert by_id["heat"]["cells"] > 500
    for name in ("latency", "errors", "rates", "heat", "endpoint-0"):
        assert {"fault on", "fault off"} <= set(by_id[name]["words"]), by_id[name]["words"]
    assert "SLO: reads p99 < 100 ms" in by_id["latency"]["words"]
    assert "in SLO again" in by_id["recovery"]["words"]


def test_the_verdict_is_what_is_seen_first(page, record):
    looks = """() => {
      const word = document.querySelector("#verdict"), band = word.closest(".band");
      return {word: word.textContent, size: parseFloat(getComputedStyle(word).fontSize),
        tone: getComputedStyle(band).backgroundColor, top: word.getBoundingClientRect().top,
        wide: document.documentElement.scrollWidth,
        reasons: [...document.querySelectorAll(".why > ul > li")].map(li => li.textContent)};
    }"""
    for width in (1280, 800):
        looked, console = measure(page, looks, width)
        assert console == []
        assert looked["word"] == record["verdict"] and looked["size"] >= 30
        assert looked["tone"] == "rgb(179, 38, 30)", "the colour of a failure"
        assert looked["top"] < 400
        assert looked["wide"] <= width, "nothing has to be scrolled sideways"
        assert looked["reasons"] == [reason.replace("`", "") for reason in record["reasons"]]


def test_numbers_are_those_of_the_record(page, record):
    told, _ = measure(page, """() => [...document.querySelectorAll("data[data-at]")].map(d => [d.dataset.at, d.value, d.textContent])""")
    assert len(told) > 100
    for at, value, text in told:
        stands = record
        for key in at.split("/")[1:]:
            stands = stands[int(key) if isinstance(stands, list) else key]
        assert float(value) == pytest.approx(stands, rel=1e-12), at
        number = re.match(r"^[<>]? ?([\d.]+) ?(ms|s|%|/s)?$", text)
        # Times of an hour and such are words; there are none in this record.
        assert number, (at, text)
        scale = {"%": 0.01, "ms": 1, "s": 1000 if "ms" in at or "lateness" in at else 1}.get(number[2], 1)
        if "/objectives/" in at and number[2] in ("ms", "s"):
            scale = {"ms": 0.001, "s": 1}[number[2]]
        if text[0] not in "<>":
            assert float(number[1]) * scale == pytest.approx(stands, rel=0.006, abs=0.006 * scale), (at, text)


def test_what_people_wrote_does_nothing(sabot, record, tmp_path):
    evil = "<script>console.error('ran')</script><img src=x onerror=\"console.error('ran')\">"
    record.update(title=evil, hypothesis=evil, command=evil, reasons=[evil, "`" + evil + "`"], warnings=[evil])
    record["faults"][0].update(proxy=evil, name=evil, type=evil, stream=evil)
    record["slis"] = {evil: record["slis"]["replica_lag"]}
    for endpoint in record["endpoints"]:
        endpoint["name"] = evil
    path, page = tmp_path / "evil.json", tmp_path / "evil.html"
    path.write_text(json.dumps(record))
    sabot("report", path, "--html", page)
    found, console = measure(page, "() => [document.querySelectorAll('img').length, document.querySelectorAll('script').length, document.querySelector('h1').textContent]")
    assert console == []
    # The one script is the probe's.
    assert found == [0, 1, f"{evil} (mitigations off)"]


def test_it_is_for_screens_and_for_paper(page, tmp_path):
    screenshot(page, tmp_path / "screen.png", 1280, 3000)
    header = (tmp_path / "screen.png").read_bytes()
    assert struct.unpack(">II", header[16:24]) == (1280, 3000)
    assert len(header) > 100_000, "a blank page packs to less"
    pdf(page, tmp_path / "paper.pdf")
    paper = (tmp_path / "paper.pdf").read_bytes()
    pages = len(re.findall(rb"/Type\s*/Page\b", paper))
    assert 2 <= pages <= 12, pages


def test_many_tenants_stay_on_the_paper(sabot, record, tmp_path):
    """As it is printed on A4: the table of the blast radius within its card."""
    (one, *_) = [hit for hit in record["blast_radius"] if hit.get("tenant")]
    record["blast_radius"] += [one | {"tenant": f"tenant-{n}", "slo": "POST /orders p99 < 250ms over 5s"} for n in range(2)]
    file, page = tmp_path / "tenants.json", tmp_path / "tenants.html"
    file.write_text(json.dumps(record))
    sabot("report", file, "--html", page)
    page.write_text(page.read_text().replace("@media print", "@media all"))
    edges = """() => {
      const card = document.querySelector("#blast-radius").getBoundingClientRect();
      const parts = [...document.querySelectorAll("#blast-radius table, #blast-radius .hit, #blast-radius tbody th")];
      const words = parts.filter(part => part.scrollWidth > part.clientWidth + 1).map(part => part.textContent);
      return [parts.length, card.right, Math.max(...parts.map(part => part.getBoundingClientRect().right)), words];
    }"""
    (count, card, widest, cut), _ = measure(page, edges, width=718)
    assert count > 20 and widest <= card and cut == [], (card, widest, cut)


def test_the_comparison_is_drawn_too(sabot, off, on, tmp_path):
    page = tmp_path / "compare.html"
    sabot("compare", off, on, "--html", page)
    pictures, console = measure(page, PICTURES)
    assert console == []
    assert [picture["id"] for picture in pictures] == ["side-0-latency", "side-0-errors", "side-1-latency", "side-1-errors"]
    assert all(picture["lines"] >= 1 and picture["width"] > 400 for picture in pictures), pictures


def test_the_numbers_of_two_runs_of_one_name_stay_within_their_card(sabot, record, tmp_path):
    """Two runs of the same name are told apart by their ids, which are long."""
    files = []
    for id in ("20261121-233918-310-60e4", "20261121-234001-112-60f1"):
        files.append(tmp_path / f"{id}.json")
        files[-1].write_text(json.dumps(record | {"id": id}))
    page = tmp_path / "same.html"
    sabot("compare", *files, "--html", page)
    edges = """() => [...document.querySelectorAll(".group")].map(group => {
      const widest = Math.max(...[...group.querySelectorAll("th, td")].map(cell => cell.getBoundingClientRect().right));
      return [group.querySelector("thead").textContent, widest, group.getBoundingClientRect().right];
    })"""
    for width in (1400, 1100, 800, 500):
        groups, console = measure(page, edges, width)
        assert console == [] and len(groups) >= 3 and "60e4" in groups[0][0], groups
        assert all(widest <= right + 1 for _, widest, right in groups), (width, groups)
