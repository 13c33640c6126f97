from __future__ import annotations

from matplotlib.figure import Figure

from dgex.report.captions import caption, kind_of


def test_a_figure_of_any_name_has_a_caption() -> None:
    assert caption("mine", Figure()) == "mine"
    assert caption("errors-test-a", Figure()).startswith("errors-test-a: every dot is a target gene")


def test_a_name_tells_the_kind() -> None:
    assert kind_of("error-share-test") == "error-share"
    assert kind_of("errors-test-ridge") == "errors"
    assert kind_of("else") == ""
