"""A page in headless Chromium: what stands in it once it is laid out, what its console says, a picture.

Knows how to start Debian's `chromium` with nothing of its own going on. Every start has a profile of
its own and ends by itself.
"""

import json
import re
import subprocess
import tempfile
from pathlib import Path

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--enable-logging=stderr",
]
LIMIT_S = 120

# Runs after the page: what is measured of it leaves with the DOM, in an attribute.
PROBE = "<script>document.documentElement.dataset.probe = JSON.stringify((%s)())</script>"


def _run(page, *arguments):
    with tempfile.TemporaryDirectory(prefix="sabot-browser-") as profile:
        command = ["chromium", *FLAGS, f"--user-data-dir={profile}", *arguments, Path(page).resolve().as_uri()]
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=True, stdin=subprocess.DEVNULL)
    console = [line for line in done.stderr.splitlines() if re.search(r"CONSOLE[(:]", line)]
    return done.stdout, console


def measure(page, function, width=1280):
    """What the JavaScript `function` says of the page, and the lines of its console."""
    page = Path(page)
    text = page.read_text()
    probed = page.with_name(f"probed-{page.name}")
    probed.write_text(text.replace("</body>", PROBE % function + "</body>"))
    dom, console = _run(probed, f"--window-size={width},2000", "--dump-dom")
    probe = re.search(r'data-probe="([^"]*)"', dom)
    assert probe, f"the page was not laid out: {dom[:500]}"
    unescaped = probe[1].replace("&quot;", '"').replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    return json.loads(unescaped), console


def screenshot(page, picture, width=1280, height=2000):
    """A picture of the page's top, as PNG."""
    _run(page, f"--window-size={width},{height}", f"--screenshot={picture}")


def pdf(page, paper):
    """The page on paper, as PDF."""
    _run(page, "--no-pdf-header-footer", f"--print-to-pdf={paper}")
