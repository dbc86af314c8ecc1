"""`label`: decisions in bulk, from a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from getpass import getuser
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tyro.conf import Positional

from episodes.errors import DataRefused, EpisodeFormatError

if TYPE_CHECKING:
    from audits.events import Event
    from audits.state import Decisions
    from episodes.store import EpisodeStore

MOST_LINES = 20
"""of what is wrong; one wrong column is wrong in every row"""


@dataclass(frozen=True, kw_only=True)
class Label:
    """Decide about many episodes at once, by a table that is taken whole or not at all."""

    kind: Positional[Literal["episodes"]]
    """what the table is about"""
    table: Positional[Path]
    """CSV file: episode_id and some of success, failure_mode, excluded, weight, note; empty cells decide nothing"""
    by: str = field(default_factory=getuser)
    """who decides"""

    def run(self, root: Path) -> int:
        from assets.audit_log import begun_log, open_log
        from audits.bulk import read_table
        from audits.state import fold
        from episodes.store import EpisodeStore
        from episodes.workspace import Workspace

        store = EpisodeStore(Workspace.open(root).root)
        log = open_log(store.workspace)
        events = log.events() if log else []
        bulk = read_table(self.table, by=self.by, episodes=frozenset(store.ids()))
        _refuse(self.table, bulk.problems)
        new = bulk.new(fold(events).episodes)
        if new:
            log = log or begun_log(store.workspace)
            events += log.append_all(new, unchanged_since=events[-1].seq if events else 0)
        print(_written(new, len(bulk.drafts) - len(new)))
        for sentence in _next(store, {draft.item for draft in bulk.drafts}, fold(events).episodes):
            print(sentence)
        return 0


def _refuse(table: Path, problems: Sequence[str]) -> None:
    for problem in problems[:MOST_LINES]:
        print(f"refused: {problem}")
    if problems:
        rows = "1 row" if len(problems) == 1 else f"{len(problems)} rows"
        raise DataRefused(f"{rows} of {table} cannot be taken, so none was; mend the table and give it again")


def _written(new: Sequence[Event], stood: int) -> str:
    kinds = Counter(draft.kind.removeprefix("episode.") for draft in new)
    told = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
    episodes = len({draft.item for draft in new})
    sentence = f"{len(new)} decisions on {episodes} episodes are in the log" + (f": {told}" if told else "")
    return sentence + (f"; {stood} stood already" if stood else "")


def _next(store: EpisodeStore, decided: set[str], standing: Decisions) -> Iterator[str]:
    """What training will read of each task that the table is about, and the commands that make it read so."""
    from episodes.decided import decide

    for task in store.tasks():
        try:
            rows = decide(store, task, standing)
        except EpisodeFormatError as error:
            yield f"training on {task} has to wait: {error}"
            continue
        if decided.isdisjoint(rows["episode_id"]):
            continue
        used = rows.filter(~rows["excluded"])
        outcomes = Counter(used["success"])
        counts = ", ".join(f"{outcomes[name]} {name}" for name in ("success", "failure", "unknown"))
        weighed = f", {weighed} with another weight" if (weighed := int((used["weight"] != 1).sum())) else ""
        yield f"training will use {len(used)} of {len(rows)} episodes of {task}: {counts}{weighed}"
    if decided:
        yield "once they are frozen: regrasp audit freeze episodes NAME, then regrasp materialize"
