"""Links between the documents lead somewhere, and commands in them are commands."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import typer

from dgex.cli.app import app
from dgex.models.catalogue import METHODS

ROOT = Path(__file__).parents[1]
DOCS = sorted(page for page in (ROOT / "docs").rglob("*.md") if "generated" not in page.parts)
PAGES = [*ROOT.glob("*.md"), *DOCS, ROOT / "benchmarks" / "README.md", ROOT / "src" / "dgex" / "training" / "README.md"]
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))


@each_page
def test_relative_links_lead_to_files_and_headings(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:|mailto:)([^)\s]+)\)", page.read_text("utf-8")):
        name, _, heading = target.partition("#")
        path = (page.parent / name).resolve() if name else page
        assert path.exists(), f"{page.name} links to {target}"
        if heading and path.suffix == ".md":
            titles = re.findall(r"^#+ (.+)$", path.read_text("utf-8"), flags=re.MULTILINE)
            assert heading in {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}, target


def test_the_guide_lists_the_methods_of_the_catalogue() -> None:
    rows = re.findall(
        r"^\| `([\w-]+)` \| ([^|]+) \| ([^|]+) \| [^|]+ \|$",
        (ROOT / "docs" / "guide.md").read_text("utf-8"),
        flags=re.MULTILINE,
    )
    assert rows == [(entry.kind, entry.title, entry.label) for entry in METHODS.values()]


def commands(page: str) -> list[list[str]]:
    """Words of every line in the blocks of a page that calls dgex, by itself, in a loop or under torchrun."""
    found = []
    for block in re.findall(r"^```[^\n]*\n(.*?)^```", page, flags=re.MULTILINE | re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            for part in re.split(r"; |&& ", line.removeprefix("$ ").strip()):
                called = re.match(r"(?:do )?(?:dgex|torchrun .*-m dgex) (.*)", part)
                if called:
                    found.append(shlex.split(called[1], comments=True))
    return found


@each_page
def test_commands_of_the_documents_are_commands_with_options_that_exist(page: Path) -> None:
    group = typer.main.get_command(app)
    for words in commands(page.read_text("utf-8")):
        while words and words[0] in ("--quiet", "-q", "--max-memory"):
            del words[: 2 if words[0] == "--max-memory" else 1]
        words = [re.sub(r"^\$[A-Z]+$", "…", word) for word in words]  # several of them
        name, *arguments = (re.sub(r"\$\w+|kernel-ridge", "ridge", word) for word in words)  # a loop's, a package's
        told = f"{page.name}: dgex {' '.join(words)}"
        assert name in group.commands, told
        command = group.commands[name]
        flags = {flag for each in command.params for flag in [*each.opts, *each.secondary_opts]} | {"--help", "-h"}
        assert {word for word in arguments if word.startswith("--")} <= flags, told
        if "…" not in arguments and "--help" not in arguments:
            try:
                command.make_context(name, arguments)
            except Exception as error:
                raise AssertionError(f"{told}: {error}") from error
