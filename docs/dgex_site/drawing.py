"""The drawings of `docs/pictures`, as plain SVG: `python docs/dgex_site/drawing.py` draws them anew.

Each takes the colours of what shows it: those of the page it stands in, else light or dark as the system is.
"""

from __future__ import annotations

import math
import random
import re
from pathlib import Path

__all__ = ["PICTURES", "drawn", "rows_of"]

DOCS = Path(__file__).parents[1]
# Okabe and Ito's colours, as in dgex's figures
BLUE, ORANGE, GREEN, PINK, SKY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9"
STYLE = """<style>
.dgex-picture{--ink:#1b2127;--soft:#5b6771;font-family:system-ui,"Segoe UI",Arial,Helvetica,sans-serif;max-width:100%}
@media (prefers-color-scheme:dark){.dgex-picture{--ink:#e8ebee;--soft:#a9b3bb}}
.dgex-picture text{fill:var(--ink);stroke:none}
.dgex-picture .soft{fill:var(--soft)}
.dgex-picture .code{font-family:ui-monospace,Menlo,Consolas,"DejaVu Sans Mono",monospace;font-weight:600}
.dgex-picture .line{stroke:var(--soft);fill:none}
</style>"""


def _picture(width: int, height: int, title: str, body: list[str]) -> str:
    opening = (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="dgex-picture" viewBox="0 0 {width} {height}" '
        f'width="{width}" role="img" aria-label="{title}">'
    )
    return "\n".join([opening, f"<title>{title}</title>", STYLE, *body, "</svg>", ""])


def _text(x: float, y: float, words: str, size: int = 16, anchor: str = "start", kind: str = "") -> str:
    look = f' class="{kind}"' if kind else ""
    return f'<text x="{x:g}" y="{y:g}" font-size="{size}" text-anchor="{anchor}"{look}>{words}</text>'


# -- what dgex does -----------------------------------------------------------------------------------------------

CELL, STEP = 9, 10
LEFT, GAP = 20, 14
LANDMARKS, TARGETS = 12, 46


def _levels(rows: int, seed: int) -> list[list[float]]:
    """Values of a few programmes that landmark genes and targets share, 0 to 1."""
    genes, profiles = random.Random(7), random.Random(seed)
    loads = [[genes.random() - 0.5 for _ in range(3)] for _ in range(LANDMARKS + TARGETS)]
    values = []
    for _ in range(rows):
        active = [2.4 * profiles.random() - 1.2 for _ in range(3)]
        row = [sum(a * b for a, b in zip(active, load)) for load in loads]
        values.append([1 / (1 + math.exp(-3.2 * value)) for value in row])
    return values


def _block(values: list[list[float]], columns: range, x: float, y: float, colour: str) -> list[str]:
    """Cells of a matrix, one path for each of six strengths."""
    paths: dict[int, list[str]] = {}
    for row, line in enumerate(values):
        for place, column in enumerate(columns):
            at = f"M{x + place * STEP:g} {y + row * STEP:g}h{CELL}v{CELL}h-{CELL}z"
            paths.setdefault(round(5 * line[column]), []).append(at)
    return [
        f'<path fill="{colour}" fill-opacity="{0.15 + 0.17 * level:.2f}" d="{"".join(parts)}"/>'
        for level, parts in sorted(paths.items())
    ]


def _arrow(x: float, top: float, bottom: float, command: str, words: str) -> list[str]:
    return [
        f'<path class="line" stroke-width="2" d="M{x:g} {top:g}V{bottom:g}m-6 -8l6 8l6 -8"/>',
        _text(x + 16, (top + bottom) / 2 + 6, command, 17, kind="code"),
        _text(x + 130, (top + bottom) / 2 + 6, words, 16, kind="soft"),
    ]


def overview() -> str:
    """A compendium, a panel, and what becomes of it."""
    landmarks, targets = range(LANDMARKS), range(LANDMARKS, LANDMARKS + TARGETS)
    beside = LEFT + LANDMARKS * STEP + GAP
    wide = TARGETS * STEP - 1
    body = [_text(LEFT, 26, "A compendium: whole profiles, once measured", 18)]
    known = _levels(9, 1)
    body += _block(known, landmarks, LEFT, 40, BLUE) + _block(known, targets, beside, 40, ORANGE)
    body.append(_text(LEFT, 150, "landmark genes", 14, kind="soft"))
    body.append(_text(beside, 150, "all other genes", 14, kind="soft"))
    body += _arrow(LEFT + 55, 164, 204, "dgex train", "how the others follow")
    body.append(_text(LEFT, 238, "Your panel: a thousand genes of each sample", 18))
    panel = _levels(5, 5)
    body += _block(panel, landmarks, LEFT, 252, BLUE)
    body.append(f'<rect class="line" x="{beside}" y="252" width="{wide}" height="49" stroke-dasharray="4 4"/>')
    body.append(_text(beside + wide / 2, 282, "not measured", 16, "middle", "soft"))
    body += _arrow(LEFT + 55, 318, 358, "dgex infer", "for each gene, with an interval")
    body.append(_text(LEFT, 392, "Whole profiles, and how far to trust each gene", 18))
    body += _block(panel, landmarks, LEFT, 406, BLUE) + _block(panel, targets, beside, 406, ORANGE)
    body.append(f'<rect fill="{BLUE}" x="{LEFT}" y="462" width="{LANDMARKS * STEP - 1}" height="7"/>')
    body.append(_text(LEFT, 489, "measured", 15, kind="soft"))
    x: float = beside
    for share, colour, words in ((26, GREEN, "trust: high"), (12, "#E69F00", "medium"), (8, PINK, "low")):
        body.append(f'<rect fill="{colour}" x="{x:g}" y="462" width="{share * STEP - 1}" height="7"/>')
        body.append(_text(x, 489, words, 15, kind="soft"))
        x += share * STEP
    title = "dgex learns from whole profiles how other genes follow from landmark genes, then fills in a panel"
    return _picture(LEFT * 2 + (LANDMARKS + TARGETS) * STEP + GAP, 500, title, body)


def mark() -> str:
    """The site's icon: measured and inferred."""
    cells = [(0, 0, BLUE, 1), (0, 1, BLUE, 0.6), (1, 0, ORANGE, 0.9), (1, 1, ORANGE, 0.5)]
    body = "".join(
        f'<rect x="{2 + 15 * column}" y="{2 + 15 * row}" width="13" height="13" rx="2" fill="{colour}" '
        f'fill-opacity="{strength}"/>'
        for column, row, colour, strength in cells
    )
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">{body}</svg>\n'


# -- errors against the number of profiles ------------------------------------------------------------------------

LOOKS = {
    "auto": (BLUE, 3.5, ""),
    "kernel ridge": (GREEN, 2, "6 3"),
    "residual network": (PINK, 2, "2 3"),
    "ridge": (ORANGE, 2, ""),
    "D-GEX": (SKY, 2, "8 3 2 3"),
    "KNN-GE": ("#8C6BB1", 2, "1 3"),
}


def rows_of(page: str) -> list[tuple[str, list[str], dict[int, list[float]]]]:
    """The tables of a page whose head ends its first cell with `: training profiles`: title, methods, numbers."""
    found = []
    for head, body in re.findall(r"^\| ([^\n]+: training profiles[^\n]*)\|\n\|[-|]+\|\n((?:\|[^\n]+\n)+)", page, re.M):
        title, *methods = (cell.strip() for cell in head.strip().strip("|").split("|"))
        numbers = {}
        for line in body.splitlines():
            first, *rest = (cell.strip() for cell in line.strip("|").split("|"))
            numbers[int(first.replace(",", ""))] = [float(cell) for cell in rest]
        found.append((title.split(":")[0], methods, numbers))
    return found


def curves() -> str:
    """The tables of `choosing.md`, drawn."""
    tables = rows_of((DOCS / "choosing.md").read_text("utf-8"))
    body: list[str] = []
    for place, (title, methods, numbers) in enumerate(tables):
        body += _panel(60 + 310 * place, title.partition(", ")[2], methods, numbers)
    shown = list(dict.fromkeys(method for _, methods, _ in tables for method in methods))
    for place, method in enumerate(shown):
        x, y = 60 + 200 * (place % 3), 392 + 26 * (place // 3)
        body += [_line(method, f"M{x} {y - 5}h34"), _text(x + 42, y, method, 16)]
    body.append(_text(320, 358, "training profiles", 16, "middle", "soft"))
    upright = _text(0, 0, "overall error", 16, "middle", "soft")
    body.append(f'<g transform="translate(18 177) rotate(-90)">{upright}</g>')
    return _picture(640, 430, "Overall error against the number of training profiles", body)


def _panel(left: float, title: str, methods: list[str], numbers: dict[int, list[float]]) -> list[str]:
    top, bottom, width = 44.0, 310.0, 250.0
    low, high = 0.2, 0.7
    first, last = math.log(min(numbers)), math.log(max(numbers))

    def x(count: int) -> float:
        return left + 14 + (width - 28) * (math.log(count) - first) / (last - first)

    def y(error: float) -> float:
        return bottom - (bottom - top) * (error - low) / (high - low)

    body = [_text(left, 24, title, 17)]
    for step in range(2, 8):
        body.append(f'<path class="line" stroke-opacity=".35" d="M{left:g} {y(step / 10):.1f}h{width:g}"/>')
        body.append(_text(left - 8, y(step / 10) + 5, f".{step}", 15, "end", "soft"))
    body += [_text(x(count), bottom + 24, f"{count:,}", 15, "middle", "soft") for count in numbers]
    for place, method in enumerate(methods):
        points = [(x(count), y(errors[place])) for count, errors in numbers.items()]
        body.append(_line(method, "M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in points)))
        body += [f'<circle cx="{a:.1f}" cy="{b:.1f}" r="3.5" fill="{LOOKS[method][0]}"/>' for a, b in points]
    return body


def _line(method: str, path: str) -> str:
    colour, width, dashes = LOOKS[method]
    dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
    return f'<path fill="none" stroke="{colour}" stroke-width="{width}"{dashed} d="{path}"/>'


PICTURES = {"overview.svg": overview, "curves.svg": curves, "mark.svg": mark}


def drawn() -> dict[str, str]:
    """All pictures: name to text."""
    return {name: draw() for name, draw in PICTURES.items()}


if __name__ == "__main__":
    for name, text in drawn().items():
        (DOCS / "pictures" / name).write_text(text, "utf-8")
