"""The wheel holds what the tree holds, and the pins cover what the project asks for."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
PACKAGES = ("episodes", "audits", "models", "releases", "robot_io", "assets", "pipelines", "labeling_app")
NOT_SOURCE = shutil.ignore_patterns("__pycache__", "*.pyc")


def source_files() -> set[str]:
    """Every file of the packages, relative to the repository."""
    files = (path for package in PACKAGES for path in (REPOSITORY / package).rglob("*") if path.is_file())
    return {path.relative_to(REPOSITORY).as_posix() for path in files if "__pycache__" not in path.parts}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel, built without the network from a copy, so that the checkout gets no build folder."""
    copy = tmp_path_factory.mktemp("wheel")
    for package in PACKAGES:
        shutil.copytree(REPOSITORY / package, copy / package, ignore=NOT_SOURCE)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, copy / name)
    build = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index", "-w", "dist", "."]
    done = subprocess.run(build, cwd=copy, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (built,) = (copy / "dist").glob("*.whl")
    return zipfile.ZipFile(built)


def test_wheel_holds_exactly_the_files_of_the_packages(wheel: zipfile.ZipFile) -> None:
    packed = {name for name in wheel.namelist() if not re.match(r"[^/]+\.dist-info/", name)}
    assert packed == source_files()


def test_wheel_holds_every_package_and_the_command(wheel: zipfile.ZipFile) -> None:
    names = wheel.namelist()
    assert {package for package in PACKAGES if f"{package}/__init__.py" in names} == set(PACKAGES)
    (entry_points,) = (name for name in names if name.endswith("entry_points.txt"))
    assert "regrasp = pipelines.cli:main" in wheel.read(entry_points).decode()
    assert any(name.endswith("licenses/LICENSE") for name in names)


def pins() -> dict[str, str]:
    """constraints.txt as {normalised name: version}; a line that is not an exact pin fails here."""
    lines = [line for line in (REPOSITORY / "constraints.txt").read_text().splitlines() if line[:1] not in ("", "#")]
    matches = {line: re.fullmatch(r"([a-z0-9-]+)==([0-9][0-9a-z.]*)", line) for line in lines}
    assert [line for line, match in matches.items() if match is None] == []
    return {match[1]: match[2] for match in matches.values() if match}


def test_every_requirement_is_pinned() -> None:
    requirements = PROJECT["dependencies"] + PROJECT["optional-dependencies"]["test"]
    names = {re.split(r"[^A-Za-z0-9_-]", requirement)[0].lower().replace("_", "-") for requirement in requirements}
    assert names - pins().keys() == set()


def test_pins_satisfy_the_bounds_of_the_project() -> None:
    exact = [r.lower().replace("_", "-").split("==") for r in PROJECT["dependencies"] if "==" in r]
    assert dict(exact) == {name: pins()[name] for name, _ in exact}
    assert pins()["sqlalchemy"].startswith("2.0."), "SQLAlchemy 2.1 breaks Dagster's PostgreSQL storage"
