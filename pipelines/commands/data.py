"""`import` and `inspect`: what comes in, and what is there."""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tyro.conf import Positional

from episodes.errors import EpisodeFormatError, IntegrityError, UsageError
from pipelines.commands.show import count_bar, print_fields, print_json, print_rows

if TYPE_CHECKING:
    from episodes.formats import ImportReport
    from episodes.store import EpisodeStore

_VARYING = re.compile(r"'[^']*'|\d+(\.\d+)?(e[+-]?\d+)?")
"""names and numbers, which tell apart refusals that are otherwise the same"""
MOST_NAMES = 5
"""of episodes in one line"""


@dataclass(frozen=True, kw_only=True)
class Import:
    """Import a dataset: LeRobot, robomimic, robosuite or ALOHA HDF5, RLDS, ROS 1 bags, tables, JSON with frames.

    A Parquet file of another model's curves over such a dataset is taken in beside ours.
    """

    source: Positional[Path]
    """file or directory"""
    format: str | None = None
    """detected by default"""
    task: str | None = None
    """slug; the dataset's or environment's name by default"""
    session: str | None = None
    """slug; made from the names of the dataset and the task by default"""
    fps: float | None = None
    """steps per second, where the dataset does not say or is wrong"""
    mapping: Path | None = None
    """TOML or JSON file that says what the dataset does not"""
    allow_pickle: bool = False
    """open pickles, in a process that builds plain arrays and nothing else"""
    strict: bool = False
    """stop at the first bad episode instead of putting it aside"""
    json: bool = False
    """print what became of every episode as JSON"""

    def run(self, root: Path) -> int:
        from episodes.formats import import_dataset
        from episodes.other_curves import holds_curves
        from episodes.workspace import workspace_lock

        if self.format is None and self.mapping is None and holds_curves(self.source):
            return self._curves(root)
        with workspace_lock(root), count_bar("import") as progress:
            report = import_dataset(
                self.source,
                root,
                task=self.task,
                session=self.session,
                mapping=self.mapping,
                format=self.format,
                fps=self.fps,
                allow_pickle=self.allow_pickle,
                strict=self.strict,
                progress=progress,
            )
        if self.json:
            print_json(_whole(report))
        else:
            print(*_told(report), sep="\n")
        there = report.imported or report.duplicates
        return 3 if report.quarantined and not there else 0

    def _curves(self, root: Path) -> int:
        from episodes.other_curves import import_curves
        from episodes.workspace import workspace_lock

        if self.task is not None or self.fps is not None:
            raise UsageError(f"{self.source} holds curves, which are of episodes that are here; leave --task and --fps")
        with workspace_lock(root):
            report = import_curves(self.source, root, session=self.session, strict=self.strict)
        if self.json:
            print_json(asdict(report) | {"refused": _refusals(report.refused)})
            return 0
        for line in _classes(report.refused):
            print(line)
        away = f", {report.elsewhere} of episodes that are not here" if report.elsewhere else ""
        print(f"curves {', '.join(report.names)}: {len(report.episodes)} taken in, {len(report.refused)} refused{away}")
        print("next: regrasp app (page Value curves)")
        return 0


def _whole(report: ImportReport) -> dict[str, Any]:
    """The report as JSON: every refusal with its parts."""
    told = {
        name: getattr(report, name) for name in ("imported", "duplicates", "repeated", "same_trajectory", "warnings")
    }
    return {**told, "refused": _refusals(report.quarantined)}


def _refusals(refused: Sequence[EpisodeFormatError]) -> list[dict[str, str]]:
    parts = ("what", "file", "episode", "key", "remedy")
    return [{name: getattr(refusal, name) for name in parts} for refusal in refused]


def _told(report: ImportReport) -> Iterator[str]:
    """The report for a person, a line for each class of things."""
    yield from (f"warning: {warning}" for warning in report.warnings)
    yield from _classes(report.quarantined)
    again, twice, refused = len(report.duplicates), len(report.repeated), len(report.quarantined)
    yield from _known_again(report)
    beside = f"{twice} twice in the dataset, " if twice else ""
    yield f"{len(report.imported)} imported, {again - twice} already there, {beside}{refused} refused"
    if report.imported:
        yield "next: regrasp materialize"


def _classes(refused: Sequence[EpisodeFormatError]) -> Iterator[str]:
    """One refusal of each kind, and how many more there are."""
    classes: dict[tuple[str, str], list[EpisodeFormatError]] = {}
    for refusal in refused:
        classes.setdefault((_VARYING.sub("#", refusal.what), refusal.remedy), []).append(refusal)
    for first, *others in classes.values():
        more = f" (and {len(others)} more like it; --json lists all)" if others else ""
        yield f"refused: {first}{more}"


def _known_again(report: ImportReport) -> Iterator[str]:
    """What is in the dataset twice, or in the workspace, by name, as far as a console can hold names."""
    new = set(report.imported)
    there = [episode_id for episode_id in dict.fromkeys(report.duplicates) if episode_id not in new]
    if there:
        yield f"already there: {_named(there)}"
    if report.repeated:
        pairs = _named([f"{name} is {first} again" for name, first in report.repeated])
        yield f"twice in the dataset: {pairs}; each is kept once"
    if report.same_trajectory:
        pairs = _named([f"{new} like {before}" for new, before in report.same_trajectory])
        yield f"the same trajectory twice: {pairs}; they will share a split; exclude one if it should not count twice"


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return ", ".join(names[:MOST_NAMES]) + more


@dataclass(frozen=True, kw_only=True)
class Inspect:
    """List sessions and episodes, or show one episode. A damaged file is a row of the list and a line on stderr.

    Outcomes are the recorded ones; `decided` stands beside where people decided another.
    """

    episode: Positional[str | None] = None
    """episode id; the first digits are enough"""
    session: str | None = None
    """list the episodes of one session"""
    json: bool = False
    """print JSON"""

    def run(self, root: Path) -> int:
        from episodes.store import EpisodeStore
        from episodes.workspace import Workspace

        store = EpisodeStore(Workspace.open(root).root)
        decided = _outcomes_decided(store)
        if self.episode is not None:
            self._one(store, _full_id(store, self.episode), decided)
        elif self.session is not None or self.json:
            rows = [_row(_attributes(store, episode_id), decided) for episode_id in _ids(store, self.session)]
            print_json(rows) if self.json else print_rows(_filled(rows), empty="no episodes")
        else:
            print_rows(_filled([_summary(store, name, decided) for name in store.sessions()]), empty="no episodes yet")
        return 0

    def _one(self, store: EpisodeStore, episode_id: str, decided: Mapping[str, str]) -> None:
        from episodes.validation import validate

        defects = [f"{d.severity}: {d.message}" for d in validate(store.read(episode_id))]
        attributes = store.attributes(episode_id)
        shown = {**attributes, **_decided(attributes, decided), "defects": defects}
        if self.json:
            print_json(shown)
        else:
            print_fields(shown)


def _full_id(store: EpisodeStore, start: str) -> str:
    """The only id that begins like this."""
    found = [episode_id for episode_id in store.ids() if episode_id.startswith(start)]
    if len(found) > 1:
        raise UsageError(f"{len(found)} episodes begin with {start}, such as {found[0]}; give more digits")
    if not found and len(start) < len("0123456789abcdef"):
        raise UsageError(f"no episode begins with {start!r}; `regrasp inspect --json` lists all")
    return found[0] if found else start  # the store refuses an id that is none


def _outcomes_decided(store: EpisodeStore) -> dict[str, str]:
    """The outcome that people decided, by episode; of a lost or damaged log none, and that is said."""
    from assets.audit_log import open_log
    from audits.state import fold

    try:
        log = open_log(store.workspace)
    except IntegrityError as error:
        print(f"without decisions: {error}", file=sys.stderr)
        return {}
    standing = fold(log.events()).episodes if log else {}
    return {episode_id: decision["success"] for episode_id, decision in standing.items() if "success" in decision}


def _decided(attributes: Mapping[str, Any], decided: Mapping[str, str]) -> dict[str, str]:
    """The outcome as decided, where it is another than the recorded one."""
    later = decided.get(attributes["episode_id"], attributes.get("success"))
    return {"decided": str(later)} if later != attributes.get("success") else {}


def _ids(store: EpisodeStore, session: str | None) -> list[str]:
    if session is not None and session not in store.sessions():
        there = ", ".join(store.sessions()) or "none"
        raise UsageError(f"there is no session {session!r} in {store.workspace.root}; there are: {there}")
    return store.ids(session=session)


def _attributes(store: EpisodeStore, episode_id: str) -> dict[str, Any]:
    """The episode's attributes; of a damaged file what its place says, and `damaged` with the sentence, also said."""
    try:
        return store.attributes(episode_id)
    except EpisodeFormatError as error:
        print(f"damaged: {error}", file=sys.stderr)
        return {"episode_id": episode_id, "session": store.path(episode_id).parent.name, "damaged": str(error)}


def _row(attributes: Mapping[str, Any], decided: Mapping[str, str]) -> dict[str, Any]:
    """What the list has of an episode; the rest is let go at once, there may be very many."""
    names = ("episode_id", "session", "task", "collection", "success", "length", "duration_s")
    damage = {"damaged": attributes["damaged"]} if "damaged" in attributes else {}
    return {name: attributes.get(name) for name in names} | _decided(attributes, decided) | damage


def _filled(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The same columns in every row: only some of them may be damaged."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    return [{name: "" if row.get(name) is None else row[name] for name in names} for row in rows]


def _summary(store: EpisodeStore, session: str, decided: Mapping[str, str]) -> dict[str, object]:
    all_of = [_attributes(store, episode_id) for episode_id in store.ids(session=session)]
    whole = [attributes for attributes in all_of if "damaged" not in attributes]
    outcomes = Counter(attributes["success"] for attributes in whole)
    counts = {name: outcomes[name] for name in ("success", "failure", "unknown")}
    later = Counter(outcome for attributes in whole for outcome in _decided(attributes, decided).values())
    told = {"decided": ", ".join(f"{count} {name}" for name, count in sorted(later.items()))} if later else {}
    minutes = sum(attributes["duration_s"] for attributes in whole) / 60
    summary = {"session": session, "task": store.task_of(session) or "", "episodes": len(all_of), **counts}
    damaged = {"damaged": len(all_of) - len(whole)} if len(whole) < len(all_of) else {}
    return {**summary, "minutes": f"{minutes:.1f}", **told, **damaged}
