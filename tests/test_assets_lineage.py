"""Which decisions of people went into what: every stage that reads a freeze names it, and so does the release."""

from __future__ import annotations

from pathlib import Path

import pytest
from synthetic import make_episode

from assets.making import Made, Maker, Work
from assets.manifest import Manifest, read_manifest
from assets.releases import freezes
from assets.snapshot import Snapshot
from assets.stages import STAGE, STAGES
from audits.freeze import FREEZE_KINDS, freeze
from audits.log import AuditLog
from episodes.store import EpisodeStore
from episodes.workspace import Workspace
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
