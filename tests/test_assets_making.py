"""One stage of one partition: whole or not at all, with what was said about it, and only on what may be read."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from synthetic import make_episode

from assets.making import Made, Maker, Work, put_back_interrupted
from assets.manifest import CheckResult, directory, read_manifest
from assets.snapshot import Snapshot
from assets.stages import STAGE
from assets.versions import survey, wanted
from episodes.errors import DataRefused, GateNotMet, UsageError
from episodes.store import EpisodeStore
from episodes.workspace import Workspace, writer_lock

RAW, VALIDATED = "episodes/raw", "episodes/validated"


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    EpisodeStore(tmp_path).write(make_episode(1, success=True))
    return Workspace.open(tmp_path)


def one_file(work: Work) -> Made:
    (work.out / "sub").mkdir()
    (work.out / "sub" / "table.txt").write_text("rows")
    return Made(metadata={"rows": 1}, plots={"picture": b"png"})


def failed(work: Work) -> Made:
    (work.out / "half.txt").write_text("half")
    raise RuntimeError("the power went off")


def refused(work: Work) -> Made:
    raise DataRefused("no outcomes; give some")


def test_a_stage_leaves_its_files_its_figures_and_its_version(workspace: Workspace) -> None:
    manifest = Maker(workspace.root).make(RAW, "s1", one_file)
    place = "derived/episodes/raw/s1"
    assert manifest.files == (f"{place}/picture.png", f"{place}/sub/table.txt")
    assert (workspace.root / manifest.files[1]).read_text() == "rows"
    assert manifest.metadata == {"rows": 1}
    assert manifest.data_version == wanted(Snapshot.take(workspace))(STAGE[RAW], "s1")
    assert manifest == read_manifest(workspace, STAGE[RAW], "s1")
    assert [check.passed for check in manifest.checks] == [True]


def test_figures_are_plain_numbers_whatever_computed_them(workspace: Workspace) -> None:
    def computed(work: Work) -> Made:
        return Made(metadata={"mean": np.float64(0.5), "undefined": float("nan"), "parts": {"n": np.float64(2)}})

    found = Maker(workspace.root).make(RAW, "s1", computed).metadata
    assert found == {"mean": 0.5, "undefined": None, "parts": {"n": 2.0}}
    assert type(found["mean"]) is float


def test_a_failure_leaves_what_was_there_before(workspace: Workspace) -> None:
    maker = Maker(workspace.root)
    before = maker.make(RAW, "s1", one_file)
    with pytest.raises(RuntimeError):
        maker.make(RAW, "s1", failed)
    assert read_manifest(workspace, STAGE[RAW], "s1") == before
    assert isinstance(maker.error, RuntimeError)
    left = {path.name for path in (workspace.derived / RAW).iterdir()}
    assert left == {"s1", ".s1.lock"}


def test_what_a_killed_run_left_is_cleared(workspace: Workspace) -> None:
    torn = workspace.derived / RAW / ".s1.new"
    torn.mkdir(parents=True)
    (torn / "half.txt").write_text("half")
    manifest = Maker(workspace.root).make(RAW, "s1", one_file)
    assert not any("half" in name for name in manifest.files)


@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), KeyboardInterrupt()])
def test_a_swap_that_fails_half_way_puts_back_what_was_there(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    before = Maker(workspace.root).make(RAW, "s1", one_file)
    rename = os.rename

    def failing(source: Path, target: Path) -> None:
        if Path(source).name == ".s1.new":
            raise error
        rename(source, target)

    with monkeypatch.context() as patched:
        patched.setattr(os, "rename", failing)
        with pytest.raises(type(error)):
            Maker(workspace.root).make(RAW, "s1", one_file)
    assert read_manifest(workspace, STAGE[RAW], "s1") == before
    assert {path.name for path in (workspace.derived / RAW).iterdir()} == {"s1", ".s1.lock"}


def test_a_run_killed_between_the_two_renames_loses_nothing(workspace: Workspace) -> None:
    before = Maker(workspace.root).make(RAW, "s1", one_file)
    place = workspace.derived / RAW / "s1"
    place.rename(place.with_name(".s1.old"))
    with pytest.raises(RuntimeError):
        Maker(workspace.root).make(RAW, "s1", failed)
    assert read_manifest(workspace, STAGE[RAW], "s1") == before
    place.rename(place.with_name(".s1.old"))
    with writer_lock(place.with_name(".s1.lock")):
        put_back_interrupted(workspace)
    assert not place.exists(), "somebody is just making it"
    put_back_interrupted(workspace)
    assert read_manifest(workspace, STAGE[RAW], "s1") == before
    assert survey(Snapshot.take(workspace)).stale[0].stage.key == VALIDATED


def test_refused_data_become_a_failed_check_that_others_wait_for(workspace: Workspace) -> None:
    maker = Maker(workspace.root)
    manifest = maker.make(RAW, "s1", refused)
    assert manifest.blocked_by == CheckResult(name="files", passed=False, sentence="no outcomes; give some")
    assert manifest.files == ()
    assert maker.refused == [(STAGE[RAW], "s1")]
    with pytest.raises(GateNotMet, match=r"files.*no outcomes"):
        maker.make(VALIDATED, "s1", one_file)


def test_a_refused_stage_is_not_stale_but_blocked(workspace: Workspace) -> None:
    Maker(workspace.root).make(RAW, "s1", one_file)
    Maker(workspace.root).make(VALIDATED, "s1", refused)
    found = survey(Snapshot.take(workspace))
    assert (VALIDATED, "s1") in found.blocked
    assert (VALIDATED, "s1") not in {(one.stage.key, one.partition) for one in found.stale}


def test_refused_recordings_are_looked_at_again_because_a_file_put_back_has_its_old_name(workspace: Workspace) -> None:
    Maker(workspace.root).make(RAW, "s1", refused)
    found = survey(Snapshot.take(workspace))
    assert (RAW, "s1") in found.blocked
    waits = {(one.stage.key, one.partition): one.waits for one in found.stale}
    assert (waits[RAW, "s1"], waits[VALIDATED, "s1"]) == (False, True)


def test_a_warning_blocks_nobody(workspace: Workspace) -> None:
    def warned(work: Work) -> Made:
        return Made(checks=(CheckResult(name="files", passed=False, sentence="well", severity="warning"),))

    maker = Maker(workspace.root)
    assert maker.make(RAW, "s1", warned).blocked_by is None
    maker.make(VALIDATED, "s1", one_file)


def test_a_stage_is_not_made_of_what_is_not_there(workspace: Workspace) -> None:
    maker = Maker(workspace.root)
    with pytest.raises(UsageError, match="episodes/raw of s1, which is not made"):
        maker.make(VALIDATED, "s1", one_file)
    with pytest.raises(UsageError, match="no session s7"):
        maker.make(RAW, "s7", one_file)


def test_a_stage_made_of_something_stale_is_stale(workspace: Workspace) -> None:
    maker = Maker(workspace.root)
    maker.make(RAW, "s1", one_file)
    EpisodeStore(workspace.root).write(make_episode(2, success=True))
    maker.make(VALIDATED, "s1", one_file)
    assert (VALIDATED, "s1") in {(one.stage.key, one.partition) for one in survey(Snapshot.take(workspace)).stale}


def test_a_partition_has_one_writer(workspace: Workspace) -> None:
    with (
        writer_lock(directory(workspace, STAGE[RAW], "s1").parent / ".s1.lock"),
        pytest.raises(DataRefused, match="being written"),
    ):
        Maker(workspace.root).make(RAW, "s1", one_file)
