"""URLs as text."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from dgex.errors import DgexError, FileError
from dgex.places import check_output, paths_of, split_name
from dgex.remote.addresses import child, name, parent, scrubbed, shown
from dgex.remote.places import Remote, located

SECRETS = (
    "https://me:SECRET@host/a/plate.gctx",
    "https://host/a/plate.gctx?X-Amz-Credential=SECRET&X-Amz-Signature=SECRET",
    "https://host/a/plate.gctx?sig=SECRET&se=2030",
    "https://host/a/plate.gctx?token=SECRET#SECRET",
    "s3://SECRET:SECRET@bucket/plate.gctx",
    "s3://bucket/plate.gctx?token=SECRET",
    "https://host/a/plate.gctx?unheard_of=SECRET",
)


@pytest.mark.parametrize("url", SECRETS)
def test_no_text_holds_a_secret(url: str) -> None:
    place = located(url)
    assert place.name == "plate.gctx"
    for text in (shown(url), str(place), f"{place}", repr(place), str(place.parent), scrubbed(f"GET {url} failed")):
        assert "SECRET" not in text
    with pytest.raises(FileError) as refusal:
        check_output(url)
    assert "SECRET" not in str(refusal.value)


@settings(max_examples=40, deadline=None)
@given(some.text(max_size=30))
def test_what_is_no_address_is_refused_or_shown_in_one_line(text: str) -> None:
    url = f"https://{text}"
    shown(url)
    try:
        assert located(url).name not in ("", ".", "..")
    except DgexError as error:
        said = str(error)
    else:
        said = ""
    assert not said or said.isprintable()


def test_inside_and_above_undo_each_other() -> None:
    for url in ("s3://bucket/a/model", "https://host/a/model", "hf://datasets/me/it/model"):
        assert parent(child(url, "model.json")) == url
        assert name(child(url, "model.json")) == "model.json"
    assert child("https://host/model?token=1", "model.json") == "https://host/model/model.json?token=1"


def test_a_place_survives_other_processes_and_other_paths(tmp_path: Path) -> None:
    place = located("s3://bucket/plate.gctx")
    assert isinstance(place, Remote)
    assert located(place) is place
    again = pickle.loads(pickle.dumps(place))  # as multiprocessing does
    assert again == place
    assert os.fspath(again) == "s3://bucket/plate.gctx"
    assert (place.suffix, place.stem, place.suffixes) == (".gctx", "plate", [".gctx"])
    with pytest.raises(FileError, match="local"):
        place.mkdir(parents=True)
    with pytest.raises(NotADirectoryError):  # one who takes it for a path of this machine makes nothing
        Path(place).mkdir(parents=True)


def test_named_inputs_may_be_urls() -> None:
    assert split_name("GTEx=s3://bucket/gtex.gctx") == ("GTEx", "s3://bucket/gtex.gctx")
    assert split_name("https://host/a.gctx?id=1") == (None, "https://host/a.gctx?id=1")
    assert paths_of(["GTEx=s3://bucket/gtex.gctx"]) == [located("s3://bucket/gtex.gctx")]


def test_a_local_url_is_a_path(tmp_path: Path) -> None:
    path = tmp_path / "a plate.gctx"
    assert located(path.as_uri()) == path
    with pytest.raises(FileError, match="names the host"):
        located("file://elsewhere/plate.gctx")


@pytest.mark.parametrize("url", ["ftp://host/a.gctx", "zip://a.gctx::s3://bucket/z", "reference://a.zarr"])
def test_other_protocols_are_refused_by_name(url: str) -> None:
    with pytest.raises(FileError, match="are not read; accepted: file://"):
        located(url)


def test_a_url_made_a_path_too_early_is_no_output() -> None:
    with pytest.raises(FileError, match="no place that this command writes"):
        check_output(Path("s3://bucket/out.h5ad"))
