"""`release`: bundles, and which of them is champion where."""

from __future__ import annotations

import json
from dataclasses import dataclass
from getpass import getuser
from pathlib import Path
from textwrap import shorten
from typing import Annotated

from tyro.conf import Positional, subcommand

from episodes.errors import UsageError
from pipelines.commands.show import print_fields, print_json, print_rows

WIDTH = 72
"""characters of a column for people; `--json` has all of it"""


@dataclass(frozen=True, kw_only=True)
class Build:
    """Bundle the models of a task, after bringing them up to date."""

    task: str | None = None
    """all tasks by default"""
    as_is: bool = False
    """bundle the models that are there, stale or not"""

    def run(self, root: Path) -> int:
        from assets.manifest import directory
        from assets.snapshot import Snapshot
        from assets.stages import STAGE
        from episodes.workspace import Workspace
        from pipelines.materialize import materialize

        workspace = Workspace.open(root)
        materialize(workspace, ["releases/candidate"], task=self.task, only=self.as_is)
        for task in [self.task] if self.task else Snapshot.take(workspace).tasks:
            built = directory(workspace, STAGE["releases/candidate"], task) / "release.json"
            print(f"{task}: release {json.loads(built.read_text())['version']}")
        return 0


@dataclass(frozen=True, kw_only=True)
class List:
    """List the releases and where they are champion."""

    json: bool = False
    """print JSON"""

    def run(self, root: Path) -> int:
        from releases.bundle import open_release, versions
        from releases.ledger import champion, history

        profiles = sorted({move.profile for move in history(root)})
        rows = []
        for version in versions(root):
            manifest = open_release(root, version).manifest
            places = [p for p in profiles if champion(root, p, manifest.task) == manifest.version]
            told = {"release": version, "task": manifest.task, "created": manifest.created}
            rows.append({**told, "champion on": ", ".join(places)})
        print_json(rows) if self.json else print_rows(rows, empty="no releases; make one with `regrasp release build`")
        return 0


@dataclass(frozen=True, kw_only=True)
class Show:
    """Show the manifest of a release."""

    version: Positional[str]
    """at least 16 digits"""
    json: bool = False
    """print JSON"""

    def run(self, root: Path) -> int:
        from releases.bundle import open_release

        release = open_release(root, self.version)
        shown = {"version": release.version, **release.manifest.model_dump(mode="json", by_alias=True)}
        if self.json:
            print_json(shown)
        else:
            print_fields(shown)
        return 0


@dataclass(frozen=True, kw_only=True)
class Verify:
    """Hold every byte of a release against its manifest."""

    version: Positional[str]
    """at least 16 digits"""
    json: bool = False
    """print JSON"""

    def run(self, root: Path) -> int:
        from releases.bundle import open_release

        release = open_release(root, self.version)
        files = [entry.model_dump() for entry in release.manifest.files]
        if self.json:
            print_json({"version": release.version, "verified": True, "files": files})
        else:
            print(f"release {release.version}: {len(files)} files are as they were built")
        return 0


@dataclass(frozen=True, kw_only=True)
class Gate:
    """Hold a release against everything that must hold before it may act on a robot.

    A figure fails where its whole 95 % interval lies on the wrong side of its bound, or where it is undefined.
    `release promote` asks for integrity and figures, `deploy` for integrity and for the fit to the robot.
    """

    version: Positional[str]
    """at least 16 digits"""
    profile: str = "sim"
    """robot profile"""
    json: bool = False
    """print JSON"""

    def run(self, root: Path) -> int:
        from pipelines.simulated import spec_for
        from releases import gates
        from releases.bundle import open_release
        from releases.ledger import SIMULATION

        release = open_release(root, self.version)
        robot = spec_for(release, release.manifest.task) if self.profile == SIMULATION else None
        results = gates.judge(release, robot)
        rows = [{"gate": r.name, "passed": r.met, "found": r.found, "bound": r.bound} for r in results]
        if self.json:
            print_json(rows)
        else:
            print_rows([{**row, "passed": "passed" if row["passed"] else "FAILED"} for row in rows], empty="")
            print(gates.FIGURE_RULE)
        gates.require(results)
        return 0


@dataclass(frozen=True, kw_only=True)
class Diff:
    """What differs between two releases: models, configs, what they were made from, figures."""

    first: Positional[str]
    """at least 16 digits"""
    second: Positional[str]
    """at least 16 digits"""
    json: bool = False
    """print JSON"""

    def run(self, root: Path) -> int:
        from releases.bundle import open_release
        from releases.difference import difference

        first, second = open_release(root, self.first), open_release(root, self.second)
        rows = [
            {"what": d.name, first.directory.name: d.first, second.directory.name: d.second}
            for d in difference(first, second)
        ]
        if self.json:
            print_json(rows)
        else:
            shown = [{name: shorten(str(said), WIDTH) for name, said in row.items()} for row in rows]
            print_rows(shown, empty="nothing differs")
        return 0


@dataclass(frozen=True, kw_only=True)
class Promote:
    """Make a release the champion of its task on a robot profile, where its bytes and figures pass the gates."""

    version: Positional[str]
    """at least 16 digits"""
    profile: str = "sim"
    """robot profile"""
    by: str | None = None
    """the person who promotes; on the profile sim you by default"""
    despite: str = ""
    """why it is promoted although a figure does not pass; the ledger keeps the reason"""

    def run(self, root: Path) -> int:
        from releases.ledger import promote

        move = promote(root, self.version, self.profile, by=decider(self.by, self.profile), despite=self.despite)
        print(f"release {move.moved_to[:16]} is champion of {move.task} on {move.profile}, promoted by {move.by}")
        if "despite" in move.evidence:
            print(f"although {'; '.join(map(str, move.evidence['unmet']))}, because: {move.evidence['despite']}")
        return 0


@dataclass(frozen=True, kw_only=True)
class Rollback:
    """Go back to the champion before the present one."""

    task: Positional[str]
    """slug"""
    profile: str = "sim"
    """robot profile"""
    by: str | None = None
    """the person who decides; on the profile sim you by default"""

    def run(self, root: Path) -> int:
        from releases.ledger import rollback

        move = rollback(root, self.profile, self.task, by=decider(self.by, self.profile))
        print(f"release {move.moved_to[:16]} is champion of {move.task} on {move.profile} again")
        return 0


def decider(by: str | None, profile: str) -> str:
    """Who moves an alias. On a real robot's profile a person gives their name: an account says nothing of who acts."""
    from releases.ledger import SIMULATION

    if by is None and profile != SIMULATION:
        raise UsageError(
            f"profile {profile} is a real robot's: a person decides what runs there; give a name with --by"
        )
    return getuser() if by is None else by


@dataclass(frozen=True, kw_only=True)
class Release:
    """Bundles of models, and which of them runs where."""

    verb: (
        Annotated[Build, subcommand("build")]
        | Annotated[List, subcommand("list")]
        | Annotated[Show, subcommand("show")]
        | Annotated[Verify, subcommand("verify")]
        | Annotated[Gate, subcommand("gate")]
        | Annotated[Promote, subcommand("promote")]
        | Annotated[Rollback, subcommand("rollback")]
        | Annotated[Diff, subcommand("diff")]
    )

    def run(self, root: Path) -> int:
        return self.verb.run(root)
