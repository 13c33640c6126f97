"""Colours that tell one curve from another, to colour-blind eyes and on both grounds of a page."""

from __future__ import annotations

import re
from itertools import combinations

import numpy as np
import pytest

from dgex.report.figures.network import NEGATIVE, POSITIVE
from dgex.report.page.assets import STYLE
from dgex.report.style import INK, LINES, MUTED, PALETTE, PAPER, SHADE

# Machado, Oliveira, Fernandes: A physiologically-based model for simulation of color vision deficiency, IEEE TVCG 15
# (2009) 1291, severity 1, for linear sRGB.
SEEN = {
    "all cones": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
APART = 15.0  # CIE 1976 difference; 2.3 is just noticeable side by side
STANDS_OUT = 3.0  # WCAG 2.1, 1.4.11, graphical objects


def linear(colour: str) -> np.ndarray:
    values = np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def lab(rgb: np.ndarray) -> np.ndarray:
    ratio = TO_XYZ @ rgb / TO_XYZ.sum(axis=1)
    x, y, z = np.where(ratio > 216 / 24389, np.cbrt(ratio), (24389 / 27 * ratio + 16) / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def difference(one: str, other: str, vision: str) -> float:
    a, b = (lab(np.clip(np.asarray(SEEN[vision]) @ linear(colour), 0, 1)) for colour in (one, other))
    return float(np.linalg.norm(a - b))


def contrast(one: str, other: str) -> float:
    dark, light = sorted(float(TO_XYZ[1] @ linear(colour)) for colour in (one, other))
    return (light + 0.05) / (dark + 0.05)


def own(name: str, dark: bool) -> str:
    """A colour of the page by its name in the style sheet."""
    found = re.findall(rf"--{name}:(#[0-9a-f]{{3,6}})", STYLE)[int(dark)]
    return found if len(found) == 7 else "#" + "".join(2 * digit for digit in found[1:])


def grounds() -> dict[str, tuple[str, tuple[str, ...]]]:
    """Each ground that figures stand on, with the colours of curves there: a page has a blue of its own."""
    pages = {f"{'dark' if dark else 'light'} page": dark for dark in (False, True)}
    on_pages = {name: (own("card", dark), (own("blue", dark), *PALETTE[1:])) for name, dark in pages.items()}
    return {"picture": (PAPER, PALETTE), **on_pages}


def test_the_measures_agree_with_known_values() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)
    np.testing.assert_allclose(lab(linear("#ff0000")), [53.24, 80.09, 67.20], atol=0.02)
    assert difference("#ff0000", "#00ff00", "all cones") > 100
    for matrix in SEEN.values():  # nobody sees colour in a grey
        np.testing.assert_allclose(np.sum(matrix, axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("ground", grounds())
@pytest.mark.parametrize("vision", SEEN)
def test_curves_stay_apart(ground: str, vision: str) -> None:
    _, colours = grounds()[ground]
    for one, other in combinations(colours, 2):
        assert difference(one, other, vision) >= APART, (one, other)
    # grey is like one of them to some eyes, so it has a dash of its own among those it is like
    for at, colour in enumerate(colours):
        assert difference(colour, SHADE, vision) >= APART or LINES[at % len(LINES)] != LINES[1], colour


@pytest.mark.parametrize("ground", grounds())
def test_curves_and_greys_stand_out_from_their_ground(ground: str) -> None:
    paper, colours = grounds()[ground]
    for colour in (*colours, SHADE, POSITIVE):
        assert contrast(colour, paper) >= STANDS_OUT, colour
    text = (INK, MUTED) if ground == "picture" else [own(name, ground == "dark page") for name in ("ink", "muted")]
    for colour in text:
        assert contrast(colour, paper) >= 4.5, colour


@pytest.mark.parametrize("vision", SEEN)
def test_more_and_less_stay_apart(vision: str) -> None:
    for negative in (NEGATIVE, own("blue", dark=True)):
        for one, other in combinations((POSITIVE, negative, SHADE), 2):
            assert difference(one, other, vision) >= APART, (one, other)
