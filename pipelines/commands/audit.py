"""`audit`: the log of people's decisions, and freezes of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from getpass import getuser
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import Positional, subcommand

from pipelines.commands.show import print_json, print_rows

if TYPE_CHECKING:
    from audits.log import AuditLog


@dataclass(frozen=True, kw_only=True)
class Log:
    """Show the decisions, oldest first."""

    json: bool = False
    """print JSON"""

    def run(self, root: Path) -> int:
        from dataclasses import asdict

        events = _log(root).events()
        if self.json:
            print_json([asdict(event) for event in events])
        else:
            shown = [{"seq": e.seq, "at": e.at, "by": e.by, "kind": e.kind, "item": e.item} for e in events]
            print_rows(shown, empty="no decisions yet; make some with `regrasp app`")
        return 0


@dataclass(frozen=True, kw_only=True)
class Verify:
    """Check the hash chain from the first decision to the last, and against the last head noted outside the log."""

    def run(self, root: Path) -> int:
        from audits.freeze import list_freezes

        log = _log(root)
        log.verify()  # first by itself: only this walk names the first bad event
        count, freezes = log.verify(head=noted_head(root)), list_freezes(log)
        print(f"{count} decisions and {len(freezes)} freezes are as they were written")
        return 0


@dataclass(frozen=True, kw_only=True)
class Export:
    """Write the log as JSON lines."""

    path: Positional[Path]
    """file to write"""

    def run(self, root: Path) -> int:
        from audits.portable import export_lines

        print(f"{export_lines(_log(root), self.path)} decisions are in {self.path}")
        return 0


@dataclass(frozen=True, kw_only=True)
class ImportLog:
    """Continue the log with an export of it."""

    path: Positional[Path]
    """file that `audit export` wrote"""

    def run(self, root: Path) -> int:
        from audits.portable import import_lines

        print(f"{import_lines(_log(root), self.path)} decisions are new")
        return 0


@dataclass(frozen=True, kw_only=True)
class Freeze:
    """Give the standing decisions a name; the next materialization reads them."""

    kind: Positional[Literal["episodes", "labels", "pairs"]]
    """which decisions"""
    name: Positional[str]
    """slug, used once"""
    by: str = field(default_factory=getuser)
    """who freezes"""

    def run(self, root: Path) -> int:
        from audits.freeze import freeze

        made = freeze(_log(root), self.kind, self.name, by=self.by)
        print(f"freeze {made.name} of {made.kind}: {made.count} decisions, {made.hash[:16]}; next: regrasp materialize")
        return 0


@dataclass(frozen=True, kw_only=True)
class Audit:
    """The log of people's decisions."""

    verb: (
        Annotated[Log, subcommand("log")]
        | Annotated[Verify, subcommand("verify")]
        | Annotated[Export, subcommand("export")]
        | Annotated[ImportLog, subcommand("import")]
        | Annotated[Freeze, subcommand("freeze")]
    )

    def run(self, root: Path) -> int:
        return self.verb.run(root)


def noted_head(root: Path) -> tuple[int, str] | None:
    """The latest (seq, hash) of the log that a manifest or the ledger noted: a log whose tail is lost lacks it.

    The log's own freezes say nothing here, they are lost with the tail. None where nothing noted one.
    """
    from assets.manifest import read_manifest
    from assets.snapshot import Snapshot
    from assets.stages import STAGES
    from episodes.workspace import Workspace
    from releases.ledger import history

    snapshot = Snapshot.take(Workspace.open(root))
    manifests = [read_manifest(snapshot.workspace, s, of) for s in STAGES for of in snapshot.partitions(s.partition)]
    heads = [(made.freeze.head_seq, made.freeze.head_hash) for made in manifests if made and made.freeze]
    evidence = [move.evidence.get("audit_head") for move in history(root)]
    heads += [(int(str(noted[0])), str(noted[1])) for noted in evidence if isinstance(noted, list)]
    return max(heads, default=None)


def _log(root: Path) -> AuditLog:
    from audits.log import AuditLog
    from episodes.workspace import Workspace

    return AuditLog(Workspace.open(root).audits)
