"""The README and the guide: what they tell a person to type works, and what they point at is there.

Every command of every `sh` block runs, in the order of its page and in its quick form (`--episodes 1`; a server only
until it answers), on a copy of the demo's workspace beside a folder `data` with small datasets.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_type_hints
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from conftest import REPOSITORY
from test_episodes_other_curves import progress_file
from transition_samples import hil_serl

from assets.settings import resolve
from episodes.store import EpisodeStore
from pipelines import cli
from pipelines.cli import main
from releases.bundle import build, open_release
from releases.ledger import champion

PAGES = (REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md")))
FOLDERS = tuple(sorted((REPOSITORY / "docs").glob("*/*.md")))
"""pages that others lead to"""
PICTURES = REPOSITORY / "docs/pictures"
MAX_PICTURE_BYTES = 150_000
TASK = "tube_insertion"
SERVERS = {"ui": "/server_info", "app": "/_stcore/health"}
FIRST_STEPS = ("python3 -m venv .venv", "source .venv/bin/activate")
"""what only a fresh clone needs; the set-up has its own script"""
ENDS_WITH = {
    ("your-own-data.md", "regrasp materialize"): 4,
    ("formats.md", "regrasp export exports/tube-pickles --format uniintervene --task tube_insertion"): 3,
}
"""documented refusals: nobody gave the imported episodes their outcomes here; the quick demo has no second camera"""
MAPPING = {"instruction": "lift the cube", "collection": "demo", "action_source": "human"}


def commands(page: Path) -> list[str]:
    """Every line of the page's `sh` blocks that is no comment."""
    blocks = re.findall(r"^```sh\n(.*?)^```", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    lines = [line.strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def verbs(union: Any, before: str = "") -> Iterator[str]:
    """`release build`, ... for every verb of the command line that does something."""
    for given in get_args(union):
        kind, configured = get_args(given)[:2]
        inner = get_type_hints(kind, include_extras=True).get("verb")
        if inner is None:
            yield f"{before}{configured.name}"
        else:
            yield from verbs(inner, f"{before}{configured.name} ")


def test_the_readme_lists_the_verbs_there_are() -> None:
    listed = re.findall(r"^\| `regrasp ([a-z ]+)` \|", PAGES[0].read_text(), flags=re.MULTILINE)
    assert listed == list(verbs(cli.Verb))


@pytest.mark.parametrize("page", [*PAGES, *FOLDERS], ids=lambda page: page.name)
def test_what_a_page_links_to_is_there(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text())
    assert [target for target in targets if not (page.parent / target).exists()] == []
    named = re.findall(r"`([a-z_]+/[a-z_/]+\.py)`", page.read_text())
    assert [path for path in named if not (REPOSITORY / path).is_file()] == []


def test_every_page_and_picture_is_reached_from_the_readme() -> None:
    readme = PAGES[0].read_text()
    assert [page.name for page in PAGES[1:] if f"(docs/{page.name})" not in readme] == []
    assert [path.name for path in PICTURES.iterdir() if f"(docs/pictures/{path.name})" not in readme] == []
    assert [path.name for path in PICTURES.iterdir() if path.stat().st_size > MAX_PICTURE_BYTES] == []


@pytest.mark.parametrize("page", [*PAGES, *FOLDERS], ids=lambda page: page.name)
def test_json_in_a_page_is_json(page: Path) -> None:
    blocks = re.findall(r"^```json\n(.*?)^```", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    assert all(isinstance(json.loads(block), dict) for block in blocks)


@pytest.mark.parametrize("page", sorted((REPOSITORY / "docs/concepts").glob("*.md")), ids=lambda page: page.name)
def test_the_settings_a_concept_shows_are_settings(page: Path) -> None:
    for block in re.findall(r"^```json\n(.*?)^```", page.read_text(), flags=re.MULTILINE | re.DOTALL):
        settings = json.loads(block)
        assert all(resolve(name, settings) != resolve(name, {}) for name in settings)


@pytest.fixture
def desk(settled_copy: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with `workspace` and `data`, as the pages speak of them, and the working directory."""
    data = settled_copy.parent / "data"
    samples = REPOSITORY / "tests/data"
    shutil.copytree(samples / "lerobot_v30_bridge", data / "bridge")
    progress_file(data / "bridge")
    shutil.copytree(samples / "seed_json", data / "run")
    shutil.copy(samples / "robosuite_lift_hdf5/demo.hdf5", data / "lift.hdf5")
    for sample, name in (
        ("octo_bridge_rlds", "rlds"),
        ("baxter_rosbag1", "bags"),
        ("baxter_introspection_csv", "trials"),
    ):
        shutil.copytree(samples / sample, data / name)
    hil_serl(data / "hil_serl")
    (data / "mapping.json").write_text(json.dumps(MAPPING))
    (data / "outcomes.csv").write_text(f"episode_id,success\n{EpisodeStore(settled_copy).ids()[0]},success\n")
    monkeypatch.chdir(settled_copy.parent)
    monkeypatch.delenv("REGRASP_ROOT", raising=False)
    return settled_copy.parent


@pytest.mark.demo
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_of_a_page_runs(
    page: Path, desk: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    known = {"EPISODE": EpisodeStore(desk / "workspace").ids()[0], "VERSION": second_release(desk / "workspace")}
    for line in commands(page):
        words = [known.get(word, word) for word in shlex.split(line)]
        if words[0] == "regrasp" and words[1] in SERVERS:
            answers(words[1:], SERVERS[words[1]])
        elif words[0] == "regrasp":
            code = main(quick(words[1:]))
            assert code == ENDS_WITH.get((page.name, line), 0), f"{line}: {code}\n{capsys.readouterr().err}"
        elif words[0] == "make":
            make_knows(words[1:])
        elif words[0] == "export":
            monkeypatch.setenv(*words[1].split("=", 1))
        else:
            assert line in FIRST_STEPS, f"nobody knows how to check {line!r} of {page.name}"


def quick(arguments: list[str]) -> list[str]:
    """The same command, recording one episode."""
    if "--episodes" not in arguments:
        return arguments
    place = arguments.index("--episodes") + 1
    return [*arguments[:place], "1", *arguments[place + 1 :]]


def second_release(root: Path) -> str:
    """Another release of the same models, as a later materialization would leave; returns its version."""
    first = open_release(root, champion(root, "sim", TASK) or "")
    manifest = first.manifest
    parts = {name: first.part(name) for name in ("value", "trigger", "memory", "recovery", "policy")}
    told = {name: getattr(manifest, name).model_dump(mode="json") for name in ("parents", "features")}
    return build(root, TASK, parts=parts, evaluation=manifest.evaluation, **told, created="2030-01-01T00:00:00").version


def make_knows(arguments: list[str]) -> None:
    """`make` has the target and the settings, and would run something; these tests are run by it, so it does not."""
    done = subprocess.run(["make", "-n", *arguments], cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    wanted = {"demo": "regrasp demo", "test": "-m pytest", "ui": "regrasp ui", "app": "regrasp app"}
    assert wanted.get(arguments[0], "setup.sh") in done.stdout
    for setting in arguments[1:]:
        assert f"{setting.split('=')[0]}" in (REPOSITORY / "Makefile").read_text()


def answers(arguments: list[str], path: str) -> None:
    """Start a server on a free port, wait until it answers, end it; everything it started ends with it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "pipelines", *arguments, "--port", str(port)]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    with Path("server.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        for _ in range(600):
            assert process.poll() is None, Path("server.log").read_text()
            try:
                with urlopen(f"http://127.0.0.1:{port}{path}") as answer:
                    assert answer.status == 200
                    return
            except URLError:
                time.sleep(0.1)
        raise AssertionError(f"{' '.join(arguments)} never answered: {Path('server.log').read_text()}")
    finally:
        process.terminate()
        process.wait()
