"""Every page of the built site in a real browser: `python docs/dgex_site/looked.py build/docs/html [PAGE ...]`.

Nothing said to the console, nothing asked of another place, texts that can be read by day and in the dark, everything
that can be used with a name, no wider than a telephone, and the search within reach of the keyboard.
"""

from __future__ import annotations

import functools
import http.server
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))
from accessible import CONTRAST, UNNAMED
from browser import CHROMIUM, Driven

PHONE, DESK = 390, 1280
FITS = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *words: Any) -> None:
        pass


def faults(page: Driven, here: str, name: str) -> list[str]:
    """What is wrong with a page."""
    page.console.clear()
    page.requests.clear()
    page.look(DESK)
    page.open(f"{here}/{name}")
    found = [f"no name: {one}" for one in page.value(UNNAMED)]
    for dark in (False, True):
        page.look(DESK, dark=dark)
        found += [f"{'dark' if dark else 'light'}, contrast {one}" for one in page.value(CONTRAST)]
    page.look(PHONE)
    if not page.value(FITS):
        found.append(f"wider than {PHONE} pixels: {page.value('document.documentElement.scrollWidth')}")
    found += [f"console: {one}" for one in page.console]
    inside = (here, "data:", "about:", "blob:")
    return found + [f"asks for {one}" for one in page.requests if not one.startswith(inside)]


def main(root: Path, names: list[str]) -> int:
    """Look at the pages, all of them unless some are named; the exit code."""
    if not CHROMIUM:
        print("no Chromium on PATH (DGEX_CHROMIUM names one elsewhere): the site was not looked at", file=sys.stderr)
        return 1
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(root)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    here = f"http://127.0.0.1:{server.server_port}"
    names = names or sorted(path.relative_to(root).as_posix() for path in root.rglob("*.html"))
    bad = 0
    with tempfile.TemporaryDirectory() as scratch, Driven(Path(scratch)) as page:
        for name in names:
            found = faults(page, here, name)
            bad += bool(found)
            for one in found:
                print(f"{name}: {one}"[:300])
        page.look(DESK)
        page.open(f"{here}/index.html")
        page.tab_to("it.name === 'q'")
    server.shutdown()
    print(f"{len(names)} pages looked at, {bad} of them with faults")
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
