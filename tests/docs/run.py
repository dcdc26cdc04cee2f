#!/usr/bin/env python3
"""Runs the commands that a page of the documentation shows.

    tests/docs/run.py PAGE.md…

The convention, for who writes pages:

- ```` ```sh ```` blocks are run: all of a page in order, as one bash session, in an empty directory, with
  `sabot` on the PATH, in a network of their own, so that the ports a page names are free. A command
  that fails fails the page.
- After a line that ends in `&` the session goes on as soon as that server listens. All that was
  started ends with the page. Readers who paste a block have no such wait: what needs the server stands in
  the next block.
- A ```` ```text ```` block that directly follows is what the block prints: its lines must appear in the
  output in that order, `…` stands for anything, and runs of spaces count as one.
- A ```` ```yaml ```` (json, toml, …) block whose fence goes on with a file name, as in
  ```` ```yaml title=sabot.yaml ````, is written to that file first.
  Readers do not see that name: the prose or the block's first line says it as well.
- A comment `<!-- first: … -->` holds commands that run before the page's own and are not shown. It is
  for servers that a reader has running from elsewhere, and the prose says "with `sabot serve` running";
  whatever else a page needs, it shows.
- Other blocks (`console`, `rust`, a lone `text`) are not run.
"""

import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from support.netns import isolated
from support.server import BINARY

LIMIT_S = 90
MARK = "\x1e"

# What a page's session starts with. `ready` waits until a background job listens, ends, or turns
# out to be none that would listen.
PRELUDE = r"""
set -euo pipefail
ready() {
  for _ in $(seq 500); do
    kill -0 "$1" 2>/dev/null || return 0
    case "$(tr '\0' ' ' <"/proc/$1/cmdline")" in
      *serve*|*sabot\ -*|*redis-server*|*postgres*|*http.server*) ss -Hltnp | grep -q "pid=$1," && return 0 ;;
      # It has not become the program yet; in the midst of that the kernel tells nothing.
      bash*|"") ;;
      *) return 0 ;;
    esac
    sleep 0.02
  done
  echo "nothing listens 10 s after it was started" >&2
  return 1
}
"""


@dataclass
class Block:
    """One fenced block of a page."""

    kind: str
    title: str
    line: int
    lines: list[str] = field(default_factory=list)
    adjacent: bool = False

    @property
    def text(self):
        return "\n".join(self.lines)


def blocks(page):
    """The fenced blocks of a page, in order."""
    found, fence, since = [], None, 99
    for number, line in enumerate(page.splitlines(), 1):
        opening = re.match(r"^(\s*)(`{3,})\s*(\w*)(?:\s+title=(\S+))?.*$", line)
        if fence is None and opening:
            indent, fence = len(opening[1]), opening[2]
            found.append(Block(opening[3], opening[4] or "", number, adjacent=since == 0))
        elif fence is not None and line.strip() == fence:
            fence, since = None, 0
        elif fence is not None:
            found[-1].lines.append(line[indent:] if line[:indent].isspace() else line)
        elif line.strip():
            since += 1
    return found


def impatient(block):
    """The first line of a shell block behind one that starts a server, which may not listen by then."""
    started = False
    for line in block.lines if block.kind == "sh" else []:
        background = line.rstrip().endswith(" &")
        if started and not background:
            return line
        started = started or (background and re.search(r"sabot serve|^sabot -|redis-server|http\.server", line) is not None)
    return None


def hidden(page):
    """The commands of a page that are run first and not shown, comment by comment."""
    return re.findall(r"^<!-- first:\s(.*?)-->", page, re.M | re.S)


def waiting(lines):
    """The lines, with a wait behind each that starts a server."""
    return [f"{line}\nready $!" if line.rstrip().endswith(" &") else line for line in lines]


def script(page_blocks, first):
    """The bash session of a page: its shell blocks, each behind a mark with its line."""
    parts = [PRELUDE, *waiting(first.splitlines())]
    for block in page_blocks:
        if block.title:
            parts.append(f"cat >{block.title} <<'END-OF-FILE'\n{block.text}\nEND-OF-FILE")
        elif block.kind == "sh":
            parts.append(f"printf '\\n{MARK}%s\\n' {block.line}; printf '{MARK}%s\\n' {block.line} >&2")
            parts += waiting(block.lines)
    return "\n".join(parts) + "\n"


def missing_line(expected, output):
    """The first expected line that the output does not show in order, if any."""
    squeeze = lambda text: re.sub(r"\s+", " ", text).strip()
    rest = [squeeze(line) for line in output.splitlines()]
    for wanted in filter(None, map(squeeze, expected.splitlines())):
        pattern = ".*".join(re.escape(part) for part in wanted.split("…"))
        while rest and not re.fullmatch(pattern, rest[0]):
            rest.pop(0)
        if not rest:
            return wanted
        rest.pop(0)
    return None


def outputs(stdout):
    """Line of a block -> what it printed."""
    parts = re.split(f"^{MARK}(\\d+)\n", stdout, flags=re.M)
    return {int(line): text for line, text in zip(parts[1::2], parts[2::2])}


def run(path, first=""):
    """Runs a page after the commands `first`; answers how many blocks ran.

    Raises AssertionError with the place and the output.
    """
    text = Path(path).read_text()
    found = blocks(text)
    first += "\n".join(hidden(text))
    if not any(block.kind == "sh" for block in found):
        return 0
    with tempfile.TemporaryDirectory() as directory:
        home = {"PATH": f"{Path(BINARY).parent}:{os.environ['PATH']}", "HOME": directory, "LOG_LEVEL": "warn", "LANG": "C.UTF-8"}
        # Files rather than pipes: a server that was left running must not keep the end from coming.
        with open(Path(directory, ".out"), "w+") as out, open(Path(directory, ".err"), "w+") as err:
            work = Path(directory, "work")
            work.mkdir()
            command = isolated(["bash", "-c", script(found, first)])
            try:
                status = subprocess.run(
                    command, cwd=work, env=home, stdin=subprocess.DEVNULL, stdout=out, stderr=err, timeout=LIMIT_S
                ).returncode
            except subprocess.TimeoutExpired:
                status = f"no end after {LIMIT_S} s"
            out.seek(0), err.seek(0)
            stdout, stderr = out.read(), err.read()
    printed = outputs(stdout)
    if status != 0:
        at = max(printed, default=0)
        raise AssertionError(f"{path}:{at}: failed ({status})\n{printed.get(at, '')}{stderr}".replace(MARK, "line "))
    for shown, expected in zip(found, found[1:]):
        if shown.kind == "sh" and expected.kind == "text" and expected.adjacent:
            missing = missing_line(expected.text, printed[shown.line])
            if missing is not None:
                raise AssertionError(f"{path}:{expected.line}: not printed: {missing}\nprinted:\n{printed[shown.line]}{stderr}")
    return sum(block.kind == "sh" for block in found)


if __name__ == "__main__":
    for page in sys.argv[1:] or sys.exit(__doc__):
        print(f"{page}: {run(page)} blocks ran")
