"""Every command that the documentation shows is run; every file and heading it links to exists."""

import importlib.util
import re
from pathlib import Path
from textwrap import dedent

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(path.relative_to(ROOT) for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("benches/**/*.md")])

spec = importlib.util.spec_from_file_location("run", Path(__file__).with_name("run.py"))
runner = importlib.util.module_from_spec(spec)
spec.loader.exec_module(runner)

WITH_COMMANDS = [page for page in PAGES if any(b.kind == "sh" for b in runner.blocks((ROOT / page).read_text()))]

# The generated pages of the kinds show commands for two proxies of a running server.
FIRST = {
    "docs/toxics": "sabot serve &\nsabot create -l localhost:16379 -u localhost:6379 redis\n"
    "sabot create --protocol http -l localhost:18080 -u localhost:8080 payments\n"
    "sabot create --tls terminate -l localhost:18443 -u localhost:8080 secure\n"
}


@pytest.mark.parametrize("page", WITH_COMMANDS, ids=str)
def test_commands_work(page):
    assert runner.run(ROOT / page, first=FIRST.get(str(page.parent), "")) > 0


@pytest.mark.parametrize("page", WITH_COMMANDS, ids=str)
def test_what_is_hidden_is_said(page):
    text = (ROOT / page).read_text()
    for commands in runner.hidden(text):
        assert commands.split() == ["sabot", "serve", "&"], "show it: who types what the page shows does not have it"
        assert re.search("with `sabot serve` running", text, re.I)
    for block in filter(lambda block: block.title, runner.blocks(text)):
        before = text.splitlines()[: block.line - 1]
        assert f"`{block.title}`" in "\n".join(before[-6:]), f"say that {block.kind} goes to {block.title}: its fence shows no name"


@pytest.mark.parametrize("page", WITH_COMMANDS, ids=str)
def test_a_pasted_block_does_not_outrun_its_server(page):
    found = [(block.line, runner.impatient(block)) for block in runner.blocks((ROOT / page).read_text())]
    assert [each for each in found if each[1]] == [], "begin another block behind the server"


def anchors(path):
    """The anchors of a page's headings, as code hosts make them."""
    text = re.sub(r"^(`{3,}).*?^\1$", "", path.read_text(), flags=re.M | re.S)
    headings = re.findall(r"^#+ (.+)$", text, re.M)
    plain = [re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower() for heading in headings]
    return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_links_lead_somewhere(page):
    text = re.sub(r"^(\s*`{3,}).*?^\1$", "", (ROOT / page).read_text(), flags=re.M | re.S)
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`\n]*`", "", text)):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        there = (ROOT / page).parent / file if file else ROOT / page
        if not there.exists() or (anchor and there.suffix == ".md" and anchor not in anchors(there)):
            broken.append(target)
    assert broken == []


@pytest.fixture
def page(tmp_path):
    def write(text):
        path = tmp_path / "page.md"
        path.write_text(dedent(text))
        return path

    return write


def test_the_runner_runs_in_order_and_checks_output(page):
    text = """\
        ```yaml title=greeting.txt
        hello
        ```
        ```sh
        cat greeting.txt; name=$(whoami)
        ```
        ```sh
        echo "a   b c $((1 + 1))"
        ```
        ```text
        a b …
        ```
        ```console
        false
        ```
        """
    assert runner.run(page(text)) == 2


def test_the_runner_sees_what_fails(page):
    with pytest.raises(AssertionError, match="page.md:4: failed"):
        runner.run(page("```sh\ntrue\n```\n```sh\nfalse | cat\n```\n"))


def test_the_runner_sees_other_output(page):
    with pytest.raises(AssertionError, match="not printed: there"):
        runner.run(page("```sh\necho here\n```\n\n```text\nthere\n```\n"))


def test_the_runner_waits_for_servers_and_ends_them(page):
    text = "```sh\nredis-server --port 6379 --save '' >log &\nredis-cli ping\n```\n```text\nPONG\n```\n"
    assert runner.run(page(text)) == 1
