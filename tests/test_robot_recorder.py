"""The recorder: an episode is there whole or not at all, and no crash loses what was recorded."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from robot_fakes import HUMAN_ACTION, POLICY_ACTION, fake_observation, fake_spec

from episodes.errors import DataRefused, UsageError
from episodes.record import ActionSource, Outcome
from episodes.store import EpisodeStore
from episodes.validation import validate
from robot_io.journal import read_journal
from robot_io.loop import run_episode
from robot_io.protocols import EpisodeEnd, Step
from robot_io.recorder import SessionRecorder, recover
from robot_io.sim import ScriptedHuman, make_robot

END = EpisodeEnd(
    end_reason="success",
    success=Outcome.SUCCESS,
    success_derivation="predicate",
    collection="takeover",
    terminal=True,
)
STEPS = 6


def step(t: int, *, shift: float = 0.0) -> Step:
    human = t >= 4
    return Step(
        observation=replace(fake_observation(t), proprio=np.full(3, t + shift, np.float32)),
        source=ActionSource.HUMAN if human else ActionSource.POLICY,
        policy_action=POLICY_ACTION,
        human_action=HUMAN_ACTION if human else None,
        executed_action=HUMAN_ACTION if human else POLICY_ACTION,
        policy_id="" if human else "base@1",
        raw_action=np.ones(6) if human else None,
    )


def record(recorder: SessionRecorder, *, steps: int = STEPS, shift: float = 0.0) -> None:
    recorder.start(fake_spec(), {"seed": 3, "collection": "takeover"})
    for t in range(steps):
        if t == 4:
            recorder.event(t, "takeover", reason="stall", score=np.float32("nan"))
        recorder.step(step(t, shift=shift))


def journal_of(root: Path) -> Path:
    return root / "live" / "journals" / "s1.rec"


def test_an_episode_comes_back_as_it_was_recorded(tmp_path: Path) -> None:
    with SessionRecorder(
        tmp_path, "s1", recorded_at="2026-11-20T12:00:00+00:00", collected_by={"by": "ada"}
    ) as recorder:
        record(recorder)
        recorder.event(STEPS, "success", by="predicate")
        episode_id = recorder.finish(END)
    store = EpisodeStore(tmp_path)
    assert store.ids(session="s1") == [episode_id]
    episode = store.read(episode_id)
    assert np.array_equal(episode.time_s, np.arange(STEPS) / 10)
    assert episode.action_source.tolist() == [0, 0, 0, 0, 2, 2]
    assert np.allclose(episode.policy_action, 0.1)
    assert np.isnan(episode.human_action[:4]).all()
    assert np.allclose(episode.human_action[4:], 0.2)
    assert np.isnan(episode.raw_action[:4]).all()
    assert episode.policy_id == ("base@1",) * 4 + ("",) * 2
    assert episode.proprio.dtype == np.float32
    assert (episode.success, episode.end_reason, episode.complete) == (Outcome.SUCCESS, "success", True)
    assert (episode.terminal, episode.collection) == (True, "takeover")
    assert episode.collected_by == {"by": "ada", "seed": 3, "collection": "takeover"}
    assert episode.recorded_at == "2026-11-20T12:00:00+00:00"
    assert episode.events[0] == {"t": 4, "kind": "takeover", "reason": "stall", "score": None}
    assert episode.events[1] == {"t": STEPS - 1, "kind": "success", "by": "predicate"}
    assert (episode.cameras["third"].height_px, episode.cameras["third"].width_px) == (8, 8)
    assert abs(int(store.frame(episode_id, "third", 5).mean()) - 5) <= 1
    assert [defect for defect in validate(episode) if defect.severity == "error"] == []
    assert not journal_of(tmp_path).exists()


def test_the_robots_own_rate_is_in_the_same_file(tmp_path: Path) -> None:
    with SessionRecorder(tmp_path, "s1") as recorder:
        recorder.start(fake_spec(), {})
        for t, rows in enumerate((2, 0, 3)):
            stream = {"t": t / 10 + np.arange(rows) / 125, "q": np.full((rows, 6), t, np.float32)}
            recorder.step(replace(step(t), observation=replace(fake_observation(t), stream=stream)))
        episode_id = recorder.finish(END)
    episode = EpisodeStore(tmp_path).read(episode_id)
    assert [defect for defect in validate(episode) if defect.severity == "error"] == []
    assert np.allclose(episode.robot_stream["t"], [0.0, 0.008, 0.2, 0.208, 0.216])
    assert episode.robot_stream["q"][:, 0].tolist() == [0, 0, 2, 2, 2]
    assert len(episode) == 3


def test_a_crash_after_any_record_becomes_an_incomplete_episode(tmp_path: Path) -> None:
    with SessionRecorder(tmp_path, "s1") as recorder:
        record(recorder)
    data = journal_of(tmp_path).read_bytes()
    kinds = [entry.kind for entry in read_journal(journal_of(tmp_path)).records]
    assert kinds == ["start"] + ["step"] * 4 + ["event"] + ["step"] * 2
    sizes = {*range(0, len(data), 97), len(data) - 1, len(data)}
    for size in sorted(sizes):
        root = tmp_path / f"cut-{size}"
        journal_of(root).parent.mkdir(parents=True)
        journal_of(root).write_bytes(data[:size])
        (found,) = recover(root)
        assert not journal_of(root).exists()
        assert recover(root) == []
        if not found.steps:
            assert found.episode_id is None
            continue
        assert found.episode_id is not None
        episode = EpisodeStore(root).read(found.episode_id)
        assert len(episode) == found.steps
        assert (episode.complete, episode.end_reason, episode.success) == (False, "crash", Outcome.UNKNOWN)
        assert episode.collection == "takeover"
        assert episode.events[-1] == {"t": found.steps - 1, "kind": "crash", "bytes_cut": found.bytes_cut}


def test_an_unreadable_journal_is_set_aside_not_deleted(tmp_path: Path) -> None:
    journal_of(tmp_path).parent.mkdir(parents=True)
    journal_of(tmp_path).write_bytes(b"not a journal")
    (found,) = recover(tmp_path)
    assert (found.episode_id, found.bytes_cut) == (None, 13)
    assert journal_of(tmp_path).with_suffix(".unreadable").read_bytes() == b"not a journal"


@pytest.mark.parametrize("after_write", [False, True])
def test_a_kill_in_the_middle_of_finish_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after_write: bool
) -> None:
    class Killed(BaseException):
        pass

    write = EpisodeStore.write

    def killed(self: EpisodeStore, episode: Any) -> str:
        if after_write:
            write(self, episode)
        raise Killed

    with SessionRecorder(tmp_path, "s1") as recorder:
        record(recorder)
        monkeypatch.setattr(EpisodeStore, "write", killed)
        with pytest.raises(Killed):
            recorder.finish(END)
        monkeypatch.undo()
    (found,) = recover(tmp_path)
    assert EpisodeStore(tmp_path).ids() == [found.episode_id]
    episode = EpisodeStore(tmp_path).read(str(found.episode_id))
    assert (episode.complete, episode.success, episode.end_reason) == (True, Outcome.SUCCESS, "success")
    assert recover(tmp_path) == []


def test_a_full_disk_at_the_end_leaves_the_journal_and_the_next_start_finishes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: EpisodeStore, episode: Any) -> str:
        raise DataRefused("the disk is full; free space and run the same command again")

    with SessionRecorder(tmp_path, "s1") as recorder:
        record(recorder)
        monkeypatch.setattr(EpisodeStore, "write", full)
        with pytest.raises(DataRefused, match="full"):
            recorder.finish(END)
        monkeypatch.undo()
        assert EpisodeStore(tmp_path).ids() == []
        record(recorder, shift=1.0)
        second = recorder.finish(END)
    ids = EpisodeStore(tmp_path).ids()
    assert len(ids) == 2
    assert second in ids


CRASHING = """
import os, signal, sys
sys.path[:0] = sys.argv[2:]
from test_robot_recorder import record
from robot_io.recorder import SessionRecorder
record(SessionRecorder(sys.argv[1], "s1"), steps=5)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_process_leaves_an_episode_and_no_lock(tmp_path: Path) -> None:
    here = Path(__file__).parent
    child = subprocess.run([sys.executable, "-c", CRASHING, tmp_path, here, here.parent], check=False)
    assert child.returncode == -signal.SIGKILL
    with SessionRecorder(tmp_path, "s1") as recorder:
        assert recorder.recovered is not None
        assert recorder.recovered.steps == 5
        assert EpisodeStore(tmp_path).ids() == [recorder.recovered.episode_id]


def test_a_session_has_one_recorder_and_the_start_up_pass_leaves_it_alone(tmp_path: Path) -> None:
    with SessionRecorder(tmp_path, "s1") as recorder:
        record(recorder)
        with pytest.raises(DataRefused, match="being written"):
            SessionRecorder(tmp_path, "s1")
        assert recover(tmp_path) == []
        with SessionRecorder(tmp_path, "s2"):
            recorder.finish(END)
    SessionRecorder(tmp_path, "s1").close()


def test_a_discarded_episode_is_kept_out_of_the_store(tmp_path: Path) -> None:
    with SessionRecorder(tmp_path, "s1") as recorder:
        record(recorder)
        recorder.discard()
        recorder.start(fake_spec(), {})
        recorder.discard()
    assert EpisodeStore(tmp_path).ids() == []
    assert len(list((tmp_path / "discarded" / "s1").glob("*.h5"))) == 1
    assert not journal_of(tmp_path).exists()


def test_discarding_a_repetition_keeps_the_episode_that_was_kept(tmp_path: Path) -> None:
    with SessionRecorder(tmp_path, "s1") as recorder:
        record(recorder)
        kept = recorder.finish(END)
        record(recorder)
        recorder.discard()
    assert EpisodeStore(tmp_path).ids() == [kept]


def test_who_records_twice_is_told_and_who_goes_on_with_a_killed_run_is_not(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for session, told in (("s1", ""), ("s1", ""), ("s2", "of session s2 is there already, in session s1")):
        caplog.clear()
        with SessionRecorder(tmp_path, session) as recorder, caplog.at_level(logging.WARNING):
            record(recorder)
            recorder.finish(END)
        assert bool(caplog.text) == bool(told)
        assert told in caplog.text


def test_an_episode_without_steps_is_none(tmp_path: Path) -> None:
    with SessionRecorder(tmp_path, "s1") as recorder:
        recorder.start(fake_spec(), {})
        with pytest.raises(DataRefused, match="no steps"):
            recorder.finish(END)
    assert EpisodeStore(tmp_path).ids() == []


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"executed_action": np.zeros(6)}, "executed_action"),
        ({"observation": fake_observation(0)}, "clock"),
        ({"observation": replace(fake_observation(9), proprio=np.zeros(4))}, "proprio"),
        ({"observation": replace(fake_observation(9), images={"third": np.zeros((4, 4, 3), np.uint8)})}, "third"),
    ],
)
def test_a_step_that_does_not_fit_is_refused_and_the_rest_is_kept(
    tmp_path: Path, changes: dict[str, Any], where: str
) -> None:
    with SessionRecorder(tmp_path, "s1") as recorder:
        record(recorder)
        with pytest.raises(DataRefused, match=where):
            recorder.step(replace(step(9), **changes))
        episode_id = recorder.finish(END)
    assert len(EpisodeStore(tmp_path).read(episode_id)) == STEPS


def test_a_session_of_another_task_is_refused_before_anything_is_recorded(tmp_path: Path) -> None:
    with SessionRecorder(tmp_path, "s1") as recorder:
        record(recorder)
        recorder.finish(END)
        with pytest.raises(DataRefused, match="holds task tube_insertion"):
            recorder.start(fake_spec(task="pick_eggplant"), {})


def test_a_demonstration_on_the_simulated_robot_is_recorded_step_by_step(tmp_path: Path) -> None:
    robot = make_robot("tube_insertion", cameras=())
    with SessionRecorder(tmp_path, "demos") as recorder:
        teleop = ScriptedHuman(robot, demo=True)
        summary = run_episode(robot, None, recorder, teleop=teleop, seed=4, max_steps=20, collection="demo")
    episode = EpisodeStore(tmp_path).read(str(summary.episode_id))
    assert len(episode) == summary.steps == 20
    assert (episode.collection, episode.end_reason, episode.success) == ("demo", "timeout", Outcome.UNKNOWN)
    assert (episode.action_source == ActionSource.HUMAN).all()
    assert np.array_equal(episode.executed_action[:, :6], episode.human_action[:, :6])
    assert episode.collected_by["seed"] == 4
    assert episode.images == {}


def test_a_session_is_a_slug(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        SessionRecorder(tmp_path, "../s1")
    assert os.listdir(tmp_path) == []
