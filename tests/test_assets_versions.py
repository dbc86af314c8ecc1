"""What is stale is told from ids, freezes, settings and code alone; nothing is run here."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
from synthetic import make_episode

from assets.manifest import FILE, Manifest, directory
from assets.settings import write_settings
from assets.snapshot import Snapshot
from assets.stages import STAGE, STAGES
from assets.versions import compose, standing, survey, wanted
from audits.freeze import freeze
from audits.log import AuditLog
from episodes.store import EpisodeStore
from episodes.workspace import Workspace, atomic_write


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """Two tasks, `a` with demonstrations and rollouts, `b` with rollouts; everything marked as made."""
    store = EpisodeStore(tmp_path / "w")
    store.write(make_episode(1, success=True, collection="demo", session="a-demos", task="a"))
    store.write(make_episode(2, success=True, session="a-rollouts", task="a"))
    store.write(make_episode(3, success=False, session="b-rollouts", task="b"))
    made = Workspace.open(tmp_path / "w")
    mark_made(made)
    return made


def mark_made(workspace: Workspace) -> None:
    """Write the manifest every stage would have, had it been made just now."""
    snapshot = Snapshot.take(workspace)
    for stage in STAGES:
        for partition in snapshot.partitions(stage.partition):
            if snapshot.applies(stage, partition):
                version = compose(snapshot, stage, partition, standing(snapshot))
                manifest = Manifest(
                    asset=stage.key,
                    partition=partition,
                    data_version=version.digest,
                    inputs=dict(version.inputs),
                    config={},
                    freeze=snapshot.frozen_by(stage),
                    created=datetime.now(UTC).isoformat(),
                    code_version=stage.code_version,
                    seconds=0.0,
                    metadata={},
                )
                atomic_write(directory(workspace, stage, partition) / FILE, manifest.model_dump_json().encode())


def stale(workspace: Workspace) -> set[tuple[str, str]]:
    return {(one.stage.key, one.partition) for one in survey(Snapshot.take(workspace)).stale}


def causes(workspace: Workspace, key: str, partition: str) -> tuple[str, ...]:
    found = survey(Snapshot.take(workspace)).stale
    return next(one.causes for one in found if (one.stage.key, one.partition) == (key, partition))


def decide(workspace: Workspace, kind: str, item: str, value: dict[str, object]) -> None:
    AuditLog(workspace.audits).append(kind, item, by="ann", value=value, shown={}, seconds=1.0)


def test_what_was_made_from_the_same_is_not_stale(workspace: Workspace) -> None:
    assert stale(workspace) == set()


def test_the_version_that_stands_is_the_one_wanted(workspace: Workspace) -> None:
    snapshot = Snapshot.take(workspace)
    for key, partition in (("episodes/raw", "a-demos"), ("releases/candidate", "b")):
        assert standing(snapshot)(STAGE[key], partition) == wanted(snapshot)(STAGE[key], partition)


def test_other_notes_of_the_simulator_make_the_report_stale_and_no_model(workspace: Workspace) -> None:
    notes = workspace.derived / "privileged/a-rollouts"
    notes.mkdir(parents=True)
    (episode_id,) = EpisodeStore(workspace.root).ids(session="a-rollouts")
    for content in (b"first", b"second"):
        (notes / f"{episode_id}.parquet").write_bytes(content)
        assert stale(workspace) == {("reports/offline", "a"), ("releases/candidate", "a")}
        assert causes(workspace, "reports/offline", "a") == ("simulator's notes changed",)
        mark_made(workspace)
    (notes / "0123456789abcdef.parquet").write_bytes(b"of an episode that is gone")
    assert stale(workspace) == set()


def test_a_task_without_demonstrations_has_no_policy_to_make(workspace: Workspace) -> None:
    snapshot = Snapshot.take(workspace)
    assert snapshot.applies(STAGE["models/policy"], "a")
    assert not snapshot.applies(STAGE["models/policy"], "b")


def test_a_moved_or_copied_workspace_has_nothing_stale(workspace: Workspace, tmp_path: Path) -> None:
    copy = shutil.copytree(workspace.root, tmp_path / "elsewhere" / "copy")
    shutil.move(workspace.root, tmp_path / "moved")
    assert stale(Workspace.open(copy)) == set()
    assert stale(Workspace.open(tmp_path / "moved")) == set()


def test_a_new_session_makes_its_task_stale_and_no_other(workspace: Workspace) -> None:
    EpisodeStore(workspace.root).write(make_episode(9, success=True, session="a-more", task="a"))
    found = stale(workspace)
    assert ("episodes/raw", "a-more") in found
    assert ("values/model", "a") in found
    assert ("values/curves", "a-rollouts") in found  # the model they are of is another
    assert not {place for place in found if place[1] in ("b", "b-rollouts")}
    assert not {key for key, partition in found if partition == "a-rollouts"} & {"episodes/raw", "episodes/validated"}
    assert causes(workspace, "values/model", "a") == ("new session a-more",)


def test_a_session_that_is_no_demonstration_leaves_the_base_policy_alone(workspace: Workspace) -> None:
    store = EpisodeStore(workspace.root)
    store.write(make_episode(9, success=True, session="a-more", task="a"))
    assert ("models/policy", "a") not in stale(workspace)
    store.write(make_episode(10, success=True, collection="demo", session="a-demos", task="a"))
    assert ("models/policy", "a") in stale(workspace)


def test_a_label_freeze_makes_only_what_reads_audited_labels_stale(workspace: Workspace) -> None:
    episode_id = EpisodeStore(workspace.root).ids(session="a-rollouts")[0]
    decide(workspace, "label.verdict", f"{episode_id}:3-9", {"verdict": "reject"})
    assert stale(workspace) == set()  # a decision counts once it is frozen
    freeze(AuditLog(workspace.audits), "labels", "first", by="ann")
    keys = {key for key, partition in stale(workspace) if partition == "a"}
    assert keys == {
        "labels/audited",
        "models/intervention",
        "memory/recovery",
        "reports/offline",
        "releases/candidate",
    }
    assert causes(workspace, "models/intervention", "a") == ("label freeze first",)


def test_after_a_freeze_a_second_one_with_other_decisions_touches_only_its_task(workspace: Workspace) -> None:
    log = AuditLog(workspace.audits)
    freeze(log, "labels", "empty", by="ann")
    mark_made(workspace)
    episode_id = EpisodeStore(workspace.root).ids(session="b-rollouts")[0]
    decide(workspace, "label.verdict", f"{episode_id}:3-9", {"verdict": "reject"})
    freeze(log, "labels", "second", by="ann")
    assert {partition for _, partition in stale(workspace)} == {"b", "b-rollouts"}
    mark_made(workspace)
    freeze(log, "labels", "the-same-again", by="ann")
    assert stale(workspace) == set()


def test_an_episode_freeze_starts_at_decided(workspace: Workspace) -> None:
    episode_id = EpisodeStore(workspace.root).ids(session="b-rollouts")[0]
    decide(workspace, "episode.outcome", episode_id, {"success": "success"})
    freeze(AuditLog(workspace.audits), "episodes", "outcomes", by="ann")
    found = stale(workspace)
    assert ("episodes/decided", "b") in found
    assert ("episodes/validated", "b-rollouts") not in found
    assert causes(workspace, "values/model", "b") == ("episode freeze outcomes",)


def test_a_setting_makes_stale_what_is_made_with_it(workspace: Workspace) -> None:
    write_settings(workspace, {"recovery": {"steps": 7}})
    keys = {key for key, partition in stale(workspace) if partition == "a"}
    assert keys == {"models/recovery", "reports/offline", "releases/candidate"}
    assert causes(workspace, "releases/candidate", "a") == ("settings recovery changed",)
    write_settings(workspace, {})
    assert stale(workspace) == set()


def test_a_missing_file_makes_its_stage_stale_again(workspace: Workspace) -> None:
    snapshot = Snapshot.take(workspace)
    place = directory(workspace, STAGE["labels/audited"], "a") / FILE
    kept = Manifest.model_validate_json(place.read_bytes())
    atomic_write(place, kept.model_copy(update={"files": ("derived/gone.parquet",)}).model_dump_json().encode())
    assert ("labels/audited", "a") in stale(workspace)
    assert causes(workspace, "labels/audited", "a") == ("its files are missing",)
    assert snapshot.applies(STAGE["labels/audited"], "a")


def test_a_damaged_manifest_counts_as_never_made(workspace: Workspace) -> None:
    atomic_write(directory(workspace, STAGE["episodes/split"], "a") / FILE, b"{")
    assert causes(workspace, "episodes/split", "a") == ("never made",)


def test_a_session_that_went_away_is_named(workspace: Workspace) -> None:
    shutil.rmtree(workspace.episodes / "a-rollouts")
    assert causes(workspace, "episodes/decided", "a") == ("session a-rollouts is gone",)
