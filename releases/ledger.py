"""Which release runs where: `<root>/releases/ledger.jsonl`, one line for every move of an alias, hash-chained.

An alias is the champion of one task on one robot profile. Every entry holds the hash of the one before it and its own;
a line that is changed, dropped from the middle or put in is `IntegrityError`. A release is promoted where its figures
meet their bounds (`gates`), or despite them for a reason that the entry keeps. Software promotes to the profile `sim`;
on any other only a person does: software that promotes its own work to a real arm is refused. Every entry carries the
head that the audit log had then, so that a lost tail of the log shows.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from audits.noted import noted, open_held
from episodes.errors import DataRefused, GateNotMet, IntegrityError, UsageError
from episodes.slug import check_slug
from episodes.workspace import Workspace, atomic_write, writer_lock
from releases.bundle import Release, open_release
from releases.gates import judge_figures, told_unmet
from releases.manifest import canonical

SIMULATION = "sim"
AUTOMATIC = frozenset({"auto", "automatic", "automation", "ci", "cron", "dagster", "demo", "regrasp", "sensor"})
"""names that no person has"""
LEDGER = "ledger.jsonl"
_NOTHING = "0" * 64


class Move(BaseModel):
    """One move of an alias."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    schema_version: Literal[1] = Field(default=1, alias="schema")
    seq: int = Field(ge=0)
    action: Literal["promote", "rollback"]
    profile: str
    task: str
    moved_from: str | None
    """version that was champion until now, 64 hex digits"""
    moved_to: str
    by: str
    at: str
    """ISO 8601 with time zone"""
    evidence: dict[str, JsonValue] = {}
    """why; `audit_head` [seq, hash] is the audit log's head at the time"""
    previous: str
    """hash of the entry before, zeros for the first"""
    hash: str = ""
    """SHA-256 of the canonical JSON of all fields but this one"""

    def sealed(self) -> Move:
        """The same move with its hash."""
        body = self.model_dump(mode="json", by_alias=True, exclude={"hash"})
        return self.model_copy(update={"hash": hashlib.sha256(canonical(body)).hexdigest()})


def promote(
    root: str | os.PathLike[str],
    version: str,
    profile: str,
    *,
    by: str,
    despite: str = "",
    evidence: Mapping[str, Any] | None = None,
) -> Move:
    """Make a release the champion of its task on a robot profile; its bytes and its held-out figures are judged first.

    `despite` is the reason to promote one whose figures do not meet their bounds; it goes into the entry's `evidence`
    with what is unmet, and so does the audit log's head. Raises `GateNotMet` where a figure does not meet its bound and
    there is no such reason, and where the profile is a real robot's and `by` is not a person.
    """
    check_slug("robot profile", profile)
    release = open_release(root, version)
    if profile != SIMULATION and not is_person(by):
        raise GateNotMet(
            f"release {release.directory.name} stays off profile {profile}: no person promoted it; "
            "give your own name with --by"
        )
    accepted = _accepted(release, profile, despite.strip())
    with _writing(root):
        return _append(root, "promote", release, profile, by, {**(evidence or {}), **accepted})


def _accepted(release: Release, profile: str, despite: str) -> dict[str, Any]:
    """What the ledger says of unmet gates and why they were passed over; {} where all are met."""
    unmet = told_unmet(judge_figures(release))
    if unmet and not despite:
        raise GateNotMet(
            f"release {release.directory.name} stays off profile {profile}: {'; '.join(unmet)}; "
            "build one that meets them, or say why this one is good enough with --despite REASON"
        )
    return {"unmet": unmet, "despite": despite} if unmet else {}


def rollback(
    root: str | os.PathLike[str], profile: str, task: str, *, by: str, evidence: Mapping[str, Any] | None = None
) -> Move:
    """Go back to the champion before the present one; it is verified first. `UsageError` where there is none."""
    with _writing(root):
        champions = _champions(history(root, profile=profile, task=task))
        if len(champions) < 2:
            raise UsageError(f"no earlier release of task {task} on profile {profile} to go back to; promote one")
        return _append(root, "rollback", open_release(root, champions[-2]), profile, by, evidence)


def champion(root: str | os.PathLike[str], profile: str, task: str) -> str | None:
    """Version of the release that runs this task on this profile; None where none was promoted."""
    champions = _champions(history(root, profile=profile, task=task))
    return champions[-1] if champions else None


def require_promoted(root: str | os.PathLike[str], release: Release, profile: str) -> None:
    """`GateNotMet` unless a person has promoted this release to this profile; `sim` takes any release."""
    moves = history(root, profile=profile, task=release.manifest.task)
    promoted = any(move.moved_to == release.version and is_person(move.by) for move in moves)
    if profile != SIMULATION and not promoted:
        raise GateNotMet(
            f"release {release.directory.name} may not run on profile {profile}: no person promoted it; "
            f"use `regrasp release promote {release.directory.name} --profile {profile} --by NAME`"
        )


def history(root: str | os.PathLike[str], *, profile: str | None = None, task: str | None = None) -> list[Move]:
    """All moves, oldest first, of one profile or task where asked. The whole chain is checked: `IntegrityError`."""
    moves = _read(Workspace.open(root))
    return [move for move in moves if profile in (None, move.profile) and task in (None, move.task)]


def is_person(by: str) -> bool:
    """False for an empty name and for those that software goes by."""
    return bool(by.strip()) and by.strip().lower() not in AUTOMATIC


def _append(
    root: str | os.PathLike[str],
    action: Literal["promote", "rollback"],
    release: Release,
    profile: str,
    by: str,
    evidence: Mapping[str, Any] | None,
) -> Move:
    if not by.strip():
        raise UsageError("moving an alias needs a name; give it with --by")
    workspace, task = Workspace.open(root), release.manifest.task
    moves, present = _read(workspace), champion(root, profile, task)
    try:
        move = Move(
            seq=len(moves),
            action=action,
            profile=profile,
            task=task,
            moved_from=present,
            moved_to=release.version,
            by=by.strip(),
            at=datetime.now(UTC).isoformat(timespec="milliseconds"),
            evidence={**(evidence or {}), **_audit_head(workspace, moves)},
            previous=moves[-1].hash if moves else _NOTHING,
        ).sealed()
    except ValidationError as error:
        raise DataRefused(f"the evidence cannot be written as JSON ({error.errors()[0]['msg']}); correct it") from error
    atomic_write(workspace.releases / LEDGER, b"".join(_line(each) for each in (*moves, move)))
    return move


def _audit_head(workspace: Workspace, moves: Sequence[Move]) -> dict[str, JsonValue]:
    """Where the audit log ends now, held against what earlier entries noted; nothing where nobody has decided yet."""
    log = open_held(workspace.audits, noted((), [move.evidence for move in moves]))
    return {"audit_head": list(log.head())} if log else {}


def _writing(root: str | os.PathLike[str]) -> AbstractContextManager[None]:
    return writer_lock(Workspace.open(root).releases / ".ledger.lock")


def _champions(moves: list[Move]) -> list[str]:
    """The champions one after the other, the present one last; a rollback takes the last one off."""
    champions: list[str] = []
    for move in moves:
        if move.action == "rollback":
            champions.pop()
        elif champions[-1:] != [move.moved_to]:
            champions.append(move.moved_to)
    return champions


def _read(workspace: Workspace) -> list[Move]:
    path = workspace.releases / LEDGER
    if not path.exists():
        return []
    moves: list[Move] = []
    for number, line in enumerate(path.read_bytes().splitlines(keepends=True)):
        move = _parsed(line, number)
        previous = moves[-1].hash if moves else _NOTHING
        if (move.seq, move.previous, move.sealed().hash) != (number, previous, move.hash) or _line(move) != line:
            raise _tampered(number)
        moves.append(move)
    return moves


def _parsed(line: bytes, number: int) -> Move:
    try:
        return Move.model_validate_json(line)
    except ValidationError as error:
        raise _tampered(number) from error


def _tampered(number: int) -> IntegrityError:
    return IntegrityError(f"entry {number} of releases/{LEDGER} is not what was written; restore it from a copy")


def _line(move: Move) -> bytes:
    return canonical(move.model_dump(mode="json", by_alias=True)) + b"\n"
