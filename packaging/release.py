"""Make a release: check version and changelog, build, look into the files, install and run them elsewhere.

    python packaging/release.py             # dry: nothing is tagged or pushed
    python packaging/release.py --tag       # and tag it here; pushing and uploading stay a person's

The files lie in dist/. `--light` sees the packages of this Python from the new environment instead of fetching them
(where there is no network, or no gigabytes to spare for torch).
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import venv
import zipfile
from email import message_from_bytes
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BUILD = "import sys; from setuptools import build_meta as b; out = sys.argv[1]; b.build_sdist(out); b.build_wheel(out)"


def run(*command: object, folder: Path = ROOT) -> str:
    """What a command printed; the release ends where the command fails."""
    return subprocess.run(
        [str(part) for part in command], cwd=folder, check=True, stdout=subprocess.PIPE, text=True
    ).stdout


def version() -> str:
    """The version of the source, once it is semantic and the newest dated one of the changelog."""
    found = re.search(r'"(.+)"', (ROOT / "src/dgex/_version.py").read_text("utf-8"))
    here = found[1] if found else ""
    if not re.fullmatch(r"\d+\.\d+\.\d+(rc\d+)?", here):
        sys.exit(f"src/dgex/_version.py holds {here!r}; a version is MAJOR.MINOR.PATCH, or that with rcN")
    dated = re.findall(r"^## (\S+) \(\d{4}-\d\d-\d\d\)$", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.M)
    if dated[:1] != [here]:
        sys.exit(f"CHANGELOG.md has {dated[:1] or 'no dated version'} on top; _version.py has {here}; they must agree")
    return here


def build(here: str, name: str) -> tuple[Path, Path]:
    """Both files in dist/, with the metadata that an index asks for."""
    out = ROOT / "dist"
    stem = f"{name.replace('-', '_')}-{here}"
    run(sys.executable, "-c", BUILD, out)
    sdist, wheel = out / f"{stem}.tar.gz", out / f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as held:
        said = message_from_bytes(held.read(f"{stem}.dist-info/METADATA"))
        if "dgex/py.typed" not in held.namelist():
            sys.exit(f"{wheel} lacks dgex/py.typed")
    if (said["Name"], said["Version"], said["Description-Content-Type"]) != (name, here, "text/markdown"):
        sys.exit(f"{wheel} says {said['Name']} {said['Version']}, {said['Description-Content-Type']}")
    with tarfile.open(sdist) as held:
        missing = {f"{stem}/{part}" for part in ("tests", "docs", "benchmarks", "fuzz", "LICENSE")} - set(
            held.getnames()
        )
    if missing:
        sys.exit(f"{sdist} lacks {', '.join(sorted(missing))}")
    return sdist, wheel


def try_out(wheel: Path, light: bool) -> None:
    """Install the wheel into an environment of its own and run the demonstration from an empty folder."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        venv.create(folder / "env", with_pip=True)
        python = folder / "env" / "bin" / "python"
        if light:
            beneath = next(path for path in sys.path if path.endswith("site-packages"))
            inside = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
            Path(inside, "beneath.pth").write_text(beneath + "\n", "utf-8")
        options = ["--no-deps", "--force-reinstall"] if light else []
        run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *options, wheel)
        place = run(python, "-I", "-c", "import dgex; print(dgex.__file__)", folder=folder).strip()
        if not Path(place).resolve().is_relative_to(folder.resolve()):
            sys.exit(f"the new environment imports {place}, not the wheel")
        run(python, "-I", "-m", "dgex", "demo", "demo", "--scale", "tiny", folder=folder)


def main() -> None:
    """One release, dry unless told."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--tag", action="store_true", help="tag the commit here")
    asked.add_argument("--light", action="store_true", help="use this Python's packages beneath the wheel")
    options = asked.parse_args()
    here = version()
    if options.tag and run("git", "status", "--porcelain"):
        sys.exit("the working tree holds changes; commit them before the tag")
    name = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["name"]
    sdist, wheel = build(here, name)
    try_out(wheel, options.light)
    if options.tag:
        run("git", "tag", "-a", f"v{here}", "-m", f"{name} {here}")
    print(
        f"{name} {here}: {sdist.name}, {wheel.name}; {f'tagged v{here}' if options.tag else 'no tag'}; nothing pushed"
    )


if __name__ == "__main__":
    main()
