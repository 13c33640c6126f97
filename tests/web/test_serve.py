"""What `dgex serve` refuses before it serves, and what it says where others may come in."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
pytest.importorskip("python_multipart")

import dgex
from dgex.errors import FileError, ModelError, SettingsError
from dgex.web.organism import organism
from dgex.web.pages.card import markdown
from dgex.web.shelf import Shelf


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no model in"):
        dgex.serve(tmp_path)
    with pytest.raises(ModelError, match="no folder"):
        dgex.serve(tmp_path / "no")


def test_a_damaged_model_is_not_on_offer(models: Path, tmp_path: Path) -> None:
    (tmp_path / "good").symlink_to(models / "small")
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "model.json").write_text("{")
    assert list(Shelf(tmp_path).models) == ["good"]
    assert list(Shelf(models / "small").models) == ["small"]


@pytest.mark.parametrize("settings", [{"port": -1}, {"port": 70_000}, {"max_upload": "much"}, {"max_upload": 0}])
def test_settings_that_cannot_be(models: Path, settings: dict[str, object]) -> None:
    with pytest.raises(SettingsError):
        dgex.serve(models, **settings)  # type: ignore[arg-type]


def test_a_port_in_use_is_said(models: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(FileError, match=f"cannot listen at 127.0.0.1, port {port}"):
            dgex.serve(models, port=port)


def test_the_packages_of_the_page_are_loaded_by_no_other_command() -> None:
    script = (
        "import sys, dgex, dgex.cli.app, dgex.web.serve; print({'starlette', 'uvicorn', 'anyio'} & set(sys.modules))"
    )
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "set()"


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["ENSG00000141510.17", "ENSG00000111640"], "human"),
        (["ENSMUSG00000059552"], "mouse"),
        (["b0002", "b4025", "thrA"], "Escherichia coli"),
        (["1007_s_at", "1053_at"], ""),
        (["7157", "2597"], ""),
        ([], ""),
    ],
)
def test_organisms_are_told_where_names_tell_them(names: list[str], found: str) -> None:
    assert organism(names) == found


def test_a_card_is_text_whatever_it_holds() -> None:
    html = markdown("---\ntags: x\n---\n# <b>a</b>\n\ntext `<i>` <script>\n\n- one\n- 2\n\n```\n# <no heading>\n```\n")
    assert html == (
        "<h2>&lt;b&gt;a&lt;/b&gt;</h2><p>text <code>&lt;i&gt;</code> &lt;script&gt;</p><ul><li>one</li><li>2</li></ul>"
        '<pre tabindex="0"><code># &lt;no heading&gt;</code></pre>'
    )
