"""`audit`: the log of people's decisions, and freezes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from getpass import getuser
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from tyro.conf import Positional, subcommand

from episodes.errors import UsageError
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

        from audits.log import undone

        log = _log(root)
        events = log.events() if log else []
        if self.json:
            print_json([asdict(event) for event in events])
        else:
            out = undone(events)
            shown = [
                {"seq": e.seq, "at": e.at, "by": e.by, "kind": e.kind, "item": e.item}
                | {"decision": _told({} if e.kind == "freeze" else e.value) + (" (taken back)" if e.seq in out else "")}
                for e in events
            ]
            print_rows(shown, empty="no decisions yet; make some with `regrasp app`")
        return 0


@dataclass(frozen=True, kw_only=True)
class Verify:
    """Check the hash chain from the first decision to the last, and against the last head noted outside the log."""

    json: bool = False
    """print JSON"""

    def run(self, root: Path) -> int:
        from assets.audit_log import verified_log
        from audits.freeze import list_freezes
        from episodes.workspace import Workspace

        log = verified_log(Workspace.open(root))
        count, digest = log.head() if log else (0, None)
        freezes = len(list_freezes(log)) if log else 0
        if self.json:
            print_json({"decisions": count - freezes, "freezes": freezes, "head": digest})
        else:
            print(f"{count - freezes} decisions and {freezes} freezes are as they were written")
        return 0


@dataclass(frozen=True, kw_only=True)
class Export:
    """Write the log as JSON lines."""

    path: Positional[Path]
    """file to write"""

    def run(self, root: Path) -> int:
        from audits.portable import export_lines

        log = _log(root)
        if log is None:
            raise UsageError("nobody has decided anything yet, so there is nothing to export; see `regrasp app`")
        print(f"{export_lines(log, self.path)} events are in {self.path}")
        return 0


@dataclass(frozen=True, kw_only=True)
class ImportLog:
    """Continue the log with an export of it."""

    path: Positional[Path]
    """file that `audit export` wrote"""

    def run(self, root: Path) -> int:
        from assets.audit_log import noted_of
        from audits.database import place_of
        from audits.log import AuditLog
        from audits.noted import require
        from audits.portable import import_lines, read_lines
        from episodes.workspace import Workspace

        workspace = Workspace.open(root)
        read_lines(self.path)  # first: a damaged export must not leave an empty log behind
        log = AuditLog(place_of(workspace.audits))  # not held against anything yet: this is how a lost log comes back
        print(f"{import_lines(log, self.path)} events are new")
        require(log, noted_of(workspace))
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
        from assets.audit_log import begun_log
        from audits.freeze import freeze
        from episodes.workspace import Workspace

        made = freeze(begun_log(Workspace.open(root)), self.kind, self.name, by=self.by)
        print(f"freeze {made.name} of {made.kind}: {made.count} decisions, {made.hash[:16]}; next: regrasp materialize")
        if not made.count:
            print(f"nothing is decided about {made.kind}, so training goes on as without a freeze; the name is used up")
        return 0


@dataclass(frozen=True, kw_only=True)
class Diff:
    """What differs between two freezes of one kind."""

    kind: Positional[Literal["episodes", "labels", "pairs"]]
    """which decisions"""
    before: Positional[str]
    """name of a freeze"""
    after: Positional[str]
    """name of another"""
    json: bool = False
    """print JSON"""

    def run(self, root: Path) -> int:
        from dataclasses import asdict

        from audits.freeze import difference, load

        log = _log(root)
        if log is None:
            raise UsageError("nobody has decided anything yet, so there is no freeze; see `regrasp audit freeze`")
        before, after = (load(log, self.kind, name).decisions for name in (self.before, self.after))
        changed = difference(before, after)
        if self.json:
            print_json([asdict(each) for each in changed])
        else:
            rows = [{"item": c.item, self.before: _told(c.before), self.after: _told(c.after)} for c in changed]
            print_rows(rows, empty=f"{self.before} and {self.after} hold the same decisions")
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
        | Annotated[Diff, subcommand("diff")]
    )

    def run(self, root: Path) -> int:
        return self.verb.run(root)


def _told(decision: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in decision.items())


def _log(root: Path) -> AuditLog | None:
    """The log to read, which reading never makes; None where nobody has decided anything yet."""
    from assets.audit_log import open_log
    from episodes.workspace import Workspace

    return open_log(Workspace.open(root))
