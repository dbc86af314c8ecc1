"""The demo promotes what it made, whatever the figures are, and says so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from release_parts import FIGURES, make_parts, make_release

from episodes.errors import GateNotMet
from episodes.workspace import Workspace
from pipelines.demo import promote_candidate
from releases.ledger import champion, history

TASK = "tube_insertion"


def candidate(root: Path, held_out: dict[str, Any]) -> tuple[Workspace, str]:
    """A workspace whose task has a release candidate with these figures, and its version."""
    version = make_release(root / "w", make_parts(root / "parts"), evaluation={"held_out": held_out}).version
    workspace = Workspace.open(root / "w")
    place = workspace.derived / "releases/candidate" / TASK
    place.mkdir(parents=True)
    (place / "release.json").write_text(json.dumps({"version": version}))
    return workspace, version


def test_figures_that_pass_need_no_word(tmp_path: Path) -> None:
    said: list[str] = []
    workspace, version = candidate(tmp_path, FIGURES)
    assert promote_candidate(workspace, TASK, said.append) == version == champion(workspace.root, "sim", TASK)
    assert said == []
    assert history(workspace.root)[0].evidence == {}


def test_figures_that_do_not_pass_are_said_and_kept(tmp_path: Path) -> None:
    said: list[str] = []
    workspace, version = candidate(tmp_path, {**FIGURES, "value": {}})
    for _ in range(2):
        assert promote_candidate(workspace, TASK, said.append) == version
    (line,) = said
    assert "despite gates that are not met: VOC of V, nominal successes (found undefined" in line
    (move,) = history(workspace.root)
    assert (move.by, move.profile, move.moved_to) == ("demo", "sim", version)
    assert str(move.evidence["despite"]).startswith("demo: ")
    assert len(move.evidence["unmet"]) == 2


def test_without_a_candidate_there_is_nothing_to_promote(tmp_path: Path) -> None:
    with pytest.raises(GateNotMet, match="no release candidate"):
        promote_candidate(Workspace.open(tmp_path, create=True), TASK, print)
