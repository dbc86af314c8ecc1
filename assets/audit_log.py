"""The workspace's audit log as everything here opens it: held against what its manifests and its ledger noted of it."""

from __future__ import annotations

from assets.manifest import FILE
from assets.stages import STAGES
from audits.database import place_of
from audits.log import AuditLog
from audits.noted import Noted, find, noted, open_held, require
from episodes.workspace import Workspace
from releases.ledger import history


def open_log(workspace: Workspace) -> AuditLog | None:
    """The log; None where nobody has decided anything yet. `IntegrityError` where decisions that were used are lost."""
    return open_held(workspace.audits, noted_of(workspace))


def verified_log(workspace: Workspace) -> AuditLog | None:
    """The same after a walk over its whole chain, which names the first event that is not what was written."""
    known = noted_of(workspace)
    log = find(workspace.audits, known)
    if log is not None:
        log.verify()
        require(log, known)
    return log


def begun_log(workspace: Workspace) -> AuditLog:
    """The log to write to: begun where nobody has decided anything yet."""
    return open_log(workspace) or AuditLog(place_of(workspace.audits))


def noted_of(workspace: Workspace) -> Noted:
    """What stands outside the log about it; also of sessions and tasks that are no longer there."""
    frozen = (workspace.derived / stage.key for stage in STAGES if stage.freeze)
    manifests = [path for directory in frozen for path in sorted(directory.glob(f"*/{FILE}"))]
    return noted(manifests, [move.evidence for move in history(workspace.root)])
