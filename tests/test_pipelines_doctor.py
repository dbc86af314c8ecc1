"""`regrasp doctor` reads every episode again and says which one is no longer what was recorded."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import pytest
from synthetic import make_episode

from episodes.store import EpisodeStore
from pipelines.cli import main


def checked(root: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, dict[str, object]]]:
    code = main(["doctor", "--json", "--root", str(root)])
    return code, {line["check"]: line for line in json.loads(capsys.readouterr().out)}


def test_an_episode_that_changed_on_disk_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = EpisodeStore(tmp_path)
    changed, kept = (store.write(make_episode(seed, success=True)) for seed in (1, 2))
    code, lines = checked(tmp_path, capsys)
    assert code == 0
    assert lines["episodes"]["told"] == "2, each as it was recorded"
    path = store.path(changed)
    path.chmod(0o644)
    with h5py.File(path, "r+") as file:
        file["action/executed"][0, 0] += 0.5
    code, lines = checked(tmp_path, capsys)
    assert code == 5
    assert not lines["episodes"]["ok"]
    assert changed in str(lines["episodes"]["told"])
    assert kept not in str(lines["episodes"]["told"])
