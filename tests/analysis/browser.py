"""A page in headless Chromium: what the browser itself says of its layout, its images, its requests and its errors."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
POLICY = '<meta http-equiv="Content-Security-Policy" content="{}">'
CHECK = """
<script nonce="check">
const blocked = [], failed = [];
addEventListener("securitypolicyviolation", event => blocked.push(event.blockedURI));
addEventListener("error", event => failed.push(event.message || event.target.outerHTML.slice(0, 80)), true);
addEventListener("load", () => {
  const all = name => [...document.querySelectorAll(name)];
  const right = element => Math.round(element.getBoundingClientRect().right);
  parent.postMessage(JSON.stringify({
    inner_width: innerWidth,
    scroll_width: document.documentElement.scrollWidth,
    wide: all("table, img, p, h1, h2, pre").filter(e => right(e) > innerWidth).map(e => e.outerHTML.slice(0, 80)),
    images: all("img").length,
    not_shown: all("img").filter(e => !e.naturalWidth || e.clientWidth < 100).map(e => e.alt),
    without_alt: all("figure").filter(e => !(e.querySelector("img") || {}).alt).length,
    dangling: all("nav a").map(e => e.hash).filter(hash => !document.querySelector(hash)),
    requested: performance.getEntriesByType("resource").map(e => e.name).filter(name => !name.startsWith("data:")),
    blocked, failed,
  }), "*");
});
</script>
"""
# a window of Chromium is never narrower than 500 pixels, but a frame is
FRAMES = """<!DOCTYPE html>
<script>addEventListener("message", event => {
  const frames = [...document.querySelectorAll("iframe")];
  frames.find(frame => frame.contentWindow === event.source).setAttribute("data-check", event.data);
});</script>
"""


@dataclass(frozen=True)
class Seen:
    """What the browser said of a page at one width, and what it wrote to its console."""

    report: dict[str, Any]
    console: list[str]

    @property
    def complaints(self) -> dict[str, Any]:
        """What a good page has nothing of."""
        names = ("wide", "not_shown", "without_alt", "dangling", "requested", "blocked", "failed")
        found = {name: self.report[name] for name in names if self.report[name]}
        if self.report["scroll_width"] > self.report["inner_width"]:
            found["scrolls to"] = self.report["scroll_width"]
        return {**found, "console": self.console} if self.console else found


def browser() -> str:
    """Return the path of a Chromium; skip the test where there is none."""
    for name in NAMES:
        if path := shutil.which(name):
            return path
    pytest.skip(f"no Chromium on this machine (looked for {', '.join(NAMES)}); `apt install chromium` runs this test")


def look(page: str, widths: list[int], folder: Path) -> list[Seen]:
    """Open the HTML of `page` in frames of so many pixels and return what the browser says of it at each width.

    A copy in `folder` gets a script that asks it, and a policy that lets nothing but that script and what is inside
    the page be loaded, and says what was not.
    """
    policy = POLICY.format("default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'nonce-check'")
    own = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page)
    (folder / "page.html").write_text(own.replace("<head>", f"<head>{policy}{CHECK}", 1), encoding="utf-8")
    frames = [f'<iframe src="page.html" width="{width}" height="1000" frameborder="0"></iframe>' for width in widths]
    (folder / "frames.html").write_text(FRAMES + "\n".join(frames), encoding="utf-8")
    command = [browser(), "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--dump-dom"]
    command += ["--disable-background-networking", "--disable-dev-shm-usage", "--enable-logging=stderr"]
    command += [f"--user-data-dir={folder / 'profile'}", "--window-size=1400,1000", "--virtual-time-budget=5000"]
    address = (folder / "frames.html").as_uri()
    done = subprocess.run([*command, address], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    console = [line for line in done.stderr.splitlines() if ":CONSOLE" in line]
    found = re.findall(r'data-check="([^"]*)"', done.stdout)
    assert len(found) == len(widths), f"the page never finished loading: {done.stderr[-2000:]}"
    return [Seen(json.loads(html.unescape(text)), console) for text in found]
