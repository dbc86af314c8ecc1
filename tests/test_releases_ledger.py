"""The ledger: who runs where is a chain that cannot be rewritten, and only a person reaches a real arm."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from release_parts import FIGURES, make_parts, make_release

from audits.log import AuditLog
from episodes.errors import DataRefused, GateNotMet, IntegrityError, UsageError
from episodes.workspace import writer_lock
from releases.bundle import Release
from releases.ledger import LEDGER, champion, history, is_person, promote, require_promoted, rollback

TASK = "tube_insertion"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "root"


@pytest.fixture
def two(tmp_path: Path, root: Path) -> tuple[Release, Release]:
    made = [make_release(root, make_parts(tmp_path / str(scale), scale=scale)) for scale in (1.0, 2.0)]
    return made[0], made[1]


def test_champions_come_and_go_back(root: Path, two: tuple[Release, Release]) -> None:
    first, second = two
    assert champion(root, "sim", TASK) is None
    promote(root, first.version, "sim", by="demo", evidence={"sr": 0.9})
    promote(root, second.version[:16], "sim", by="ada")
    assert champion(root, "sim", TASK) == second.version
    assert champion(root, "lab-1", TASK) is None
    move = rollback(root, "sim", TASK, by="ada", evidence={"why": "it jams"})
    assert (move.action, move.moved_from, move.moved_to) == ("rollback", second.version, first.version)
    assert champion(root, "sim", TASK) == first.version
    with pytest.raises(UsageError, match="go back"):
        rollback(root, "sim", TASK, by="ada")
    assert [(entry.seq, entry.action, entry.by) for entry in history(root)] == [
        (0, "promote", "demo"),
        (1, "promote", "ada"),
        (2, "rollback", "ada"),
    ]
    assert history(root)[0].evidence == {"sr": 0.9}
    assert history(root, profile="lab-1") == []


def test_every_move_carries_the_head_of_the_audit_log_whoever_makes_it(
    root: Path, two: tuple[Release, Release]
) -> None:
    assert promote(root, two[0].version, "sim", by="demo").evidence == {}, "nobody has decided anything yet"
    log = AuditLog(root / "audits.sqlite")
    log.append("episode.note", "e1", by="ann", value={"text": "odd"}, shown={}, seconds=1.0)
    first = list(log.head())
    assert promote(root, two[1].version, "sim", by="demo", evidence={"sr": 0.9}).evidence["audit_head"] == first
    log.append("episode.note", "e1", by="ann", value={"text": "odder"}, shown={}, seconds=1.0)
    rollback(root, "sim", TASK, by="ada", evidence={"audit_head": "forged"})
    assert [move.evidence.get("audit_head") for move in history(root)] == [None, first, list(log.head())]
    (root / "audits.sqlite").unlink()
    with pytest.raises(IntegrityError, match=r"audits\.sqlite"):
        promote(root, two[1].version, "sim", by="demo")
    assert history(root)[1].evidence["sr"] == 0.9


def test_a_release_with_a_bad_figure_is_promoted_only_despite_it_and_the_ledger_says_why(
    root: Path, tmp_path: Path
) -> None:
    bad = {
        **FIGURES,
        "trigger": {**FIGURES["trigger"], "failures_flagged": {"value": 0.5, "lo": 0.3, "hi": 0.7, "n": 9}},
    }
    release = make_release(root, make_parts(tmp_path / "bad"), evaluation={"held_out": bad})
    said = r"failures flagged \(found 0.5 \[0.3, 0.7\] n 9, asked for at least 0.8\)"
    for despite in ("", "  "):
        with pytest.raises(GateNotMet, match=rf"{said}; .* --despite REASON"):
            promote(root, release.version, "sim", by="ada", despite=despite)
    assert history(root) == []
    move = promote(root, release.version, "lab-1", by="ada", despite="it is only looked at", evidence={"sr": 0.9})
    unmet = ["failures flagged (found 0.5 [0.3, 0.7] n 9, asked for at least 0.8)"]
    assert move.evidence == {"sr": 0.9, "unmet": unmet, "despite": "it is only looked at"}
    with pytest.raises(GateNotMet, match="no person promoted it"):
        promote(root, release.version, "lab-1", by="demo", despite="it is only looked at")


def test_a_reason_that_nothing_needs_is_not_kept(root: Path, two: tuple[Release, Release]) -> None:
    assert promote(root, two[0].version, "sim", by="ada", despite="just in case").evidence == {}


def test_promoting_the_champion_again_does_not_make_it_its_own_predecessor(
    root: Path, two: tuple[Release, Release]
) -> None:
    for release in (two[0], two[1], two[1]):
        promote(root, release.version, "sim", by="demo")
    rollback(root, "sim", TASK, by="demo")
    assert champion(root, "sim", TASK) == two[0].version


@pytest.mark.parametrize("by", ["demo", "Demo ", "CI", "dagster"])
def test_software_promotes_to_the_simulation_only(root: Path, two: tuple[Release, Release], by: str) -> None:
    promote(root, two[0].version, "sim", by=by)
    with pytest.raises(GateNotMet, match="no person promoted it"):
        promote(root, two[0].version, "ur5e-lab", by=by)
    assert champion(root, "ur5e-lab", TASK) is None


def test_a_real_robot_takes_only_what_a_person_promoted_to_it(root: Path, two: tuple[Release, Release]) -> None:
    promote(root, two[0].version, "sim", by="ada")
    require_promoted(root, two[1], "sim")
    with pytest.raises(GateNotMet, match="no person promoted it"):
        require_promoted(root, two[0], "ur5e-lab")
    promote(root, two[0].version, "ur5e-lab", by="ada")
    require_promoted(root, two[0], "ur5e-lab")
    with pytest.raises(GateNotMet):
        require_promoted(root, two[1], "ur5e-lab")


def test_names_of_persons() -> None:
    assert is_person("ada")
    assert not any(map(is_person, ["", "  ", "demo", "DEMO", " auto "]))


def test_a_nameless_or_unserializable_promotion_is_refused(root: Path, two: tuple[Release, Release]) -> None:
    with pytest.raises(UsageError, match="--by"):
        promote(root, two[0].version, "sim", by=" ")
    with pytest.raises(UsageError, match="profile"):
        promote(root, two[0].version, "../sim", by="ada")
    with pytest.raises(DataRefused, match="evidence"):
        promote(root, two[0].version, "sim", by="ada", evidence={"what": object()})
    assert history(root) == []


def test_a_damaged_release_is_not_promoted_nor_gone_back_to(root: Path, two: tuple[Release, Release]) -> None:
    for release in two:
        promote(root, release.version, "sim", by="demo")
    weights = two[0].directory / "value" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    with pytest.raises(IntegrityError):
        promote(root, two[0].version, "sim", by="demo")
    with pytest.raises(IntegrityError):
        rollback(root, "sim", TASK, by="demo")
    assert champion(root, "sim", TASK) == two[1].version


def test_one_flipped_byte_in_the_ledger_is_found(root: Path, two: tuple[Release, Release]) -> None:
    for release in two:
        promote(root, release.version, "sim", by="demo")
    path = root / "releases" / LEDGER
    data = path.read_bytes()
    assert data.count(b"\n") == 2
    for at in {*range(0, len(data), 5), len(data) - 1}:
        path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        with pytest.raises(IntegrityError, match="ledger"):
            history(root)


def test_a_dropped_swapped_or_forged_entry_is_found(root: Path, two: tuple[Release, Release]) -> None:
    for release in (*two, two[0]):
        promote(root, release.version, "sim", by="demo")
    path = root / "releases" / LEDGER
    a, b, c = path.read_bytes().splitlines(keepends=True)
    forged = json.loads(c)
    forged["by"] = "ada"
    for lines in ([b, c], [a, c], [b, a, c], [a, b, c, c], [a, b, json.dumps(forged).encode() + b"\n"]):
        path.write_bytes(b"".join(lines))
        with pytest.raises(IntegrityError):
            champion(root, "sim", TASK)
        with pytest.raises(IntegrityError):
            promote(root, two[0].version, "sim", by="demo")


def test_two_cannot_move_an_alias_at_once(root: Path, two: tuple[Release, Release]) -> None:
    with writer_lock(root / "releases" / ".ledger.lock"), pytest.raises(DataRefused, match="being written"):
        promote(root, two[0].version, "sim", by="demo")
