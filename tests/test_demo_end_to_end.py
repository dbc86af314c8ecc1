"""The whole product on the demo's workspace, as a person uses it: each command in a process of its own, on a copy."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from conftest import REPOSITORY, DemoRun, run_demo

from episodes.errors import GateNotMet
from episodes.record import ActionSource, Outcome
from episodes.store import EpisodeStore
from releases.bundle import open_release
from releases.ledger import champion, require_promoted

TASK = "tube_insertion"
ROBOSUITE = REPOSITORY / "tests/data/robosuite_lift_hdf5/demo.hdf5"
TINY = """
import signal
import sys
from dataclasses import replace
from pipelines import demo
from pipelines.cli import main
settings = demo.QUICK.settings | {"policy": {"steps": 20}}
demo.QUICK = replace(demo.QUICK, demonstrations={"tube_insertion": 8}, rollouts=40, takeovers=10, settings=settings)
if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # what runs the tests in the background ignores it
    sys.exit(main(["demo", "--quick", "--root", sys.argv[1]]))
"""
PATIENCE_S = 120
STOPPED = "interrupted; the same command goes on where it stopped\n"


def regrasp(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pipelines", *arguments, "--root", str(root)]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)


def sentence(done: subprocess.CompletedProcess[str]) -> str:
    """The one line on stderr."""
    (line,) = (line for line in done.stderr.splitlines() if line.strip())
    return line


def made(done: subprocess.CompletedProcess[str]) -> set[str]:
    """The stages that `materialize` says it spent time on."""
    return {line.split()[0] for line in done.stdout.splitlines() if line.endswith(" s") and line.startswith("  ")}


@pytest.mark.demo
def test_a_second_demo_does_nothing_new_and_prints_the_same_table(
    demo_workspace: DemoRun, demo_copy: Path, tmp_path: Path
) -> None:
    before = EpisodeStore(demo_copy).ids()
    printed = run_demo(demo_copy, tmp_path / "again.json")
    assert EpisodeStore(demo_copy).ids() == before
    assert "stale" not in printed
    assert " made in " not in printed
    again = json.loads((tmp_path / "again.json").read_text())
    assert again | {"seconds": {}} == demo_workspace.report | {"seconds": {}}
    assert _table(printed) == _table(demo_workspace.printed)


def _table(printed: str) -> list[str]:
    return [line for line in printed.splitlines() if line.startswith("│")]


@pytest.mark.demo
def test_a_moved_workspace_has_nothing_stale(settled_copy: Path, tmp_path: Path) -> None:
    moved = settled_copy.rename(tmp_path / "elsewhere")
    try:
        done = regrasp(moved, "materialize")
        assert (done.returncode, made(done)) == (0, set()), done.stderr
        assert done.stdout.startswith("nothing to do")
    finally:
        moved.rename(settled_copy)


@pytest.mark.demo
def test_the_champion_runs_and_its_episodes_come_back(demo_copy: Path) -> None:
    done = regrasp(demo_copy, "deploy", "--robot", "sim", "--episodes", "1", "--session", "tuesday")
    assert done.returncode == 0, done.stderr
    version = champion(demo_copy, "sim", TASK)
    assert f"release {version} verified" in done.stdout
    store = EpisodeStore(demo_copy)
    (episode_id,) = store.ids(session="tuesday")
    episode = store.read(episode_id, images=False)
    assert episode.collected_by["release"] == version
    assert episode.collection == "takeover"


@pytest.mark.demo
@pytest.mark.parametrize("part", ["value", "memory"])
def test_one_flipped_byte_keeps_a_release_off_the_robot(demo_copy: Path, part: str) -> None:
    version = champion(demo_copy, "sim", TASK)
    assert version is not None
    weights = sorted((demo_copy / "releases" / version[:16] / part).glob("*.safetensors"))[0]
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    done = regrasp(demo_copy, "deploy", "--robot", "sim", "--episodes", "1", "--session", "refused")
    assert done.returncode == 5
    assert f"{part}/{weights.name} of release {version[:16]} has changed" in sentence(done)
    assert not (demo_copy / "episodes/refused").exists()


@pytest.mark.demo
def test_another_robot_takes_only_what_a_person_promoted(demo_copy: Path) -> None:
    version = champion(demo_copy, "sim", TASK)
    assert version is not None
    release = open_release(demo_copy, version)
    refused = regrasp(demo_copy, "release", "promote", version, "--profile", "ur5e", "--by", "demo")
    assert refused.returncode == 4
    assert "no person promoted it" in sentence(refused)
    with pytest.raises(GateNotMet, match="no person promoted it"):
        require_promoted(demo_copy, release, "ur5e")
    assert regrasp(demo_copy, "deploy", "--robot", "ur5e").returncode == 2, "there is no driver for it"
    assert regrasp(demo_copy, "release", "promote", version, "--profile", "ur5e", "--by", "ann").returncode == 0
    require_promoted(demo_copy, release, "ur5e")


def test_an_interrupted_demo_goes_on_where_it_was(tmp_path: Path) -> None:
    root, script = tmp_path / "workspace", tmp_path / "tiny.py"
    script.write_text(TINY)
    demos = root / "episodes" / f"{TASK}-demos"
    policy = root / "derived/models/policy" / TASK / "manifest.json"

    told = _interrupted(script, root, when=lambda: len(list(demos.glob("[0-9a-f]*.h5"))) >= 2)
    assert told == STOPPED
    kept = {path: path.read_bytes() for path in demos.glob("[0-9a-f]*.h5")}
    assert 2 <= len(kept) < 8
    assert not policy.exists()

    assert _interrupted(script, root, when=policy.exists) == STOPPED
    store = EpisodeStore(root)
    whole = [name for name in store.ids(session=demos.name) if store.attributes(name)["complete"]]
    assert len(whole) == 8, "what the Ctrl-C cut short is kept as incomplete, and its seed recorded again"
    assert {path: path.read_bytes() for path in kept} == kept
    assert not list(root.rglob("*.tmp"))


def _interrupted(script: Path, root: Path, *, when: Callable[[], bool]) -> str:
    """Start the demo, press Ctrl-C `when` it got so far, and return what it said; its exit code is 130."""
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    process = subprocess.Popen(
        [sys.executable, str(script), str(root)],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + PATIENCE_S
        while not when() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        assert process.poll() is None, process.communicate()[1]
        assert when()
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: everybody in the foreground gets it
        told = process.communicate(timeout=PATIENCE_S)[1]
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    assert process.returncode == 130, told
    return told


def test_robosuite_is_imported_with_nothing_invented_and_the_value_asks_for_outcomes(tmp_path: Path) -> None:
    root = tmp_path / "workspace"
    assert regrasp(root, "import", str(ROBOSUITE)).returncode == 0
    store = EpisodeStore(root)
    episodes = [store.read(name) for name in store.ids()]
    assert sorted(len(episode) for episode in episodes) == [392, 482, 510]
    assert {episode.success for episode in episodes} == {Outcome.UNKNOWN}
    assert {episode.reward is None for episode in episodes} == {True}
    assert all(np.all(episode.action_source == ActionSource.UNKNOWN) for episode in episodes)

    done = regrasp(root, "materialize")
    assert done.returncode == 4
    assert "0 of 3 usable episodes have a known outcome" in sentence(done)
    assert "outcomes are needed; give them on the app's page Episodes (`regrasp app`)" in sentence(done)
    assert not (root / "derived/values/curves").exists()
    (decided,) = (root / "derived/episodes/decided").glob("*/table.parquet")
    assert pl.read_parquet(decided)["success"].unique().to_list() == ["unknown"]
