"""A page in a real browser: Chromium by DGEX_CHROMIUM or on PATH."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path
from typing import Any

import pytest

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
CHROMIUM = os.environ.get("DGEX_CHROMIUM") or next(filter(None, map(shutil.which, _NAMES)), None)

NEEDS_CHROMIUM = [
    pytest.mark.skipif(not CHROMIUM, reason="no Chromium on PATH (DGEX_CHROMIUM names one elsewhere)"),
    pytest.mark.xdist_group("browser"),
]

DRIVER = """
<pre id="results"></pre><script>
(async () => {
  const results = {};
  const one = (selector, root = document) => root.querySelector(selector);
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const type = (input, text) => { input.value = text; input.dispatchEvent(new Event("input", {bubbles: true})); };
  const words = selector => all(selector).map(e => e.textContent);
  try { %s } catch (error) { results.failed = String(error); }
  results.resources = performance.getEntriesByType("resource").map(e => e.name);
  one("#results").textContent = JSON.stringify(results);
})();
</script></body>"""


def browse(html: str, folder: Path, actions: str, *options: str) -> tuple[dict[str, Any], list[str]]:
    """Open a page, let a script act on it, and return what the script noted and what the console said."""
    path = folder / "page.html"
    path.write_text(html.replace("</body>", DRIVER % actions), "utf-8")
    command = [
        str(CHROMIUM),
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--enable-logging=stderr",
        f"--user-data-dir={folder / 'profile'}",
        "--virtual-time-budget=5000",
        *options,
        "--dump-dom",
        path.as_uri(),
    ]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    found = re.search(r'<pre id="results">(.*?)</pre>', finished.stdout, re.DOTALL)
    assert found, finished.stderr[-2000:]
    console = [line for line in finished.stderr.splitlines() if "CONSOLE" in line]
    return json.loads(unescape(found.group(1)) or "{}"), console
