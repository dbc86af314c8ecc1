"""What went into what: every stage that reads a freeze names it, and nothing held out is learned from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from synthetic import fill, make_episode

from assets.making import Made, Maker, Work
from assets.manifest import Manifest, read_manifest
from assets.releases import freezes
from assets.settings import write_settings
from assets.snapshot import Snapshot
from assets.stages import STAGE, STAGES
from audits.freeze import FREEZE_KINDS, freeze
from audits.log import AuditLog
from episodes.split import read_split
from episodes.store import EpisodeStore
from episodes.workspace import Workspace
from models.dataset import TRAINED_SPLITS, StepData
from pipelines.materialize import materialize
from releases.manifest import Parents, canonical

TASK, SESSION = "insert", "s1"


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """All stages made of nothing, in order, after one freeze of each kind."""
    EpisodeStore(tmp_path).write(make_episode(1, success=True))
    workspace = Workspace.open(tmp_path)
    log = AuditLog(workspace.audits)
    for kind in FREEZE_KINDS:
        freeze(log, kind, f"{kind}-of-monday", by="ann")
    for stage in STAGES:
        if not stage.collection:
            Maker(tmp_path).make(stage.key, SESSION if stage.partition == "session" else TASK, lambda work: Made())
    return workspace


def standing(workspace: Workspace, key: str) -> Manifest:
    manifest = read_manifest(workspace, STAGE[key], TASK)
    assert manifest is not None
    return manifest


@pytest.mark.parametrize(
    ("key", "kind"), [("episodes/decided", "episodes"), ("labels/audited", "labels"), ("memory/recovery", "pairs")]
)
def test_a_stage_names_the_freeze_that_it_read_and_the_logs_head_in_it(
    workspace: Workspace, key: str, kind: str
) -> None:
    frozen = standing(workspace, key).freeze
    assert frozen is not None
    assert (frozen.kind, frozen.name) == (kind, f"{kind}-of-monday")
    head = AuditLog(workspace.audits).verify(head=(frozen.head_seq, frozen.head_hash))
    assert head == len(FREEZE_KINDS)


def test_a_release_lists_all_three_with_their_heads(workspace: Workspace, tmp_path: Path) -> None:
    work = Work(snapshot=Snapshot.take(workspace), stage=STAGE["releases/candidate"], partition=TASK, out=tmp_path)
    found = freezes(work)
    assert {kind: made.name for kind, made in found.items()} == {kind: f"{kind}-of-monday" for kind in FREEZE_KINDS}
    parents = Parents(freezes={kind: made.model_dump() for kind, made in found.items()})
    assert Parents.model_validate_json(canonical(parents.model_dump(mode="json"))) == parents
    assert parents.freezes["pairs"].head_hash == found["pairs"].head_hash


def test_a_manifest_from_before_freezes_were_listed_keeps_its_bytes() -> None:
    assert "freezes" not in Parents(label_freeze="demo").model_dump(mode="json")


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, list[StepData]]:
    """A base policy and a recovery policy, made by the graph; and the demonstrations that were cloned."""
    from models import policy

    workspace, cloned = Workspace.open(tmp_path_factory.mktemp("learned"), create=True), list[StepData]()
    fill(workspace.root)
    write_settings(workspace, {"policy": {"steps": 2}, "recovery": {"steps": 2}})

    def seen(demonstrations: list[StepData], *given: Any, **more: Any) -> policy.BehaviourPolicy:
        cloned.extend(demonstrations)
        return fit(demonstrations, *given, **more)

    fit = policy.fit_policy
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(policy, "fit_policy", seen)
        materialize(workspace, ["models/policy"])
    materialize(workspace, ["models/recovery"])
    return workspace, cloned


def splits(workspace: Workspace) -> dict[str, str]:
    return dict(read_split(workspace.root).select("episode_id", "split").iter_rows())


def test_the_base_policy_clones_no_demonstration_that_the_value_is_judged_on(
    learned: tuple[Workspace, list[StepData]],
) -> None:
    workspace, cloned = learned
    split = splits(workspace)
    demonstrations = EpisodeStore(workspace.root).ids(session="demos")
    trained = {name for name in demonstrations if split[name] in TRAINED_SPLITS}
    assert 0 < len(trained) < len(demonstrations)
    assert {episode.episode_id for episode in cloned} == trained
    told = standing(workspace, "models/policy").metadata
    assert (told["demonstrations"], told["held out"]) == (len(trained), len(demonstrations) - len(trained))


def test_the_split_that_the_policy_read_is_the_one_that_stays(learned: tuple[Workspace, list[StepData]]) -> None:
    workspace, cloned = learned
    split = splits(workspace)
    assert all(split[episode.episode_id] == episode.split for episode in cloned)
    assert len(split) == 52


def test_the_recovery_policy_learns_from_training_episodes_alone(
    learned: tuple[Workspace, list[StepData]], tmp_path: Path
) -> None:
    """Fitted to the training episodes alone it is the same net, to the last byte."""
    from models.checkpoint import model_hash
    from models.dataset import load_step_data
    from models.recovery import RecoveryConfig, fit_recovery

    workspace = learned[0]
    store, split = EpisodeStore(workspace.root), splits(workspace)
    ids = [name for session in store.sessions(TASK) for name in store.ids(session=session)]
    episodes = [load_step_data(store, name, success=True, split="train") for name in ids if split[name] == "train"]
    alone = fit_recovery(episodes, RecoveryConfig(steps=2)).save(tmp_path)
    assert alone == model_hash(workspace.derived / "models/recovery" / TASK)
