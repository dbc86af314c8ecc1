"""What the benchmark's page reads: finished runs, their rows, the table, and each run's own workspace.

Pure access without Streamlit, and without the code that runs them: a run says all about itself in its files.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
from polars.exceptions import PolarsError

from episodes.errors import DataRefused
from episodes.record import Outcome
from labeling_app.data import Library
from models.learning_curves import RUN
from models.sealed import read_sealed

DONE, TRAINING, TRIALS, SUMMARY, ROUND = "run.json", "training.parquet", "trials.parquet", "table.json", "round.json"
LEARNED, DEMONSTRATED = "training", "demonstrations"
"""sessions of a run"""


class RunName(NamedTuple):
    """One run of a schedule."""

    task: str
    method: str
    seed: int


def schedules(root: Path) -> list[str]:
    """The schedules with a finished run, the table's first."""
    found = {path.relative_to(root / "benchmark").parts[0] for path in root.glob(f"benchmark/*/*/*/*/{DONE}")}
    return sorted(found, key=lambda name: (name != "table", name))


@dataclass(frozen=True)
class Runs:
    """The finished runs of one schedule, as they were when this was made."""

    directory: Path

    @cached_property
    def names(self) -> list[RunName]:
        """Sorted."""
        found = (path.parent.relative_to(self.directory).parts for path in self.directory.glob(f"*/*/*/{DONE}"))
        return sorted(RunName(task, method, int(seed)) for task, method, seed in found)

    @cached_property
    def training(self) -> pl.DataFrame:
        """One row an episode of training, of all runs."""
        return self._rows(TRAINING)

    @cached_property
    def trials(self) -> pl.DataFrame:
        """One row a trial of the policy alone, of all runs."""
        return self._rows(TRIALS)

    @cached_property
    def table(self) -> dict[str, Any]:
        """The table with its intervals; empty before it was computed."""
        path = self.directory / SUMMARY
        return read_sealed(path) if path.exists() else {}

    def place(self, run: RunName) -> Path:
        """The workspace of a run."""
        return self.directory / run.task / run.method / str(run.seed)

    def episodes(self, run: RunName) -> pl.DataFrame:
        """The run's episodes of training, in order."""
        mine = pl.all_horizontal(pl.col(name) == value for name, value in zip(RUN, run, strict=True))
        return self.training.filter(mine, pl.col("episode_id") != "").sort("index")

    def _rows(self, name: str) -> pl.DataFrame:
        try:
            return pl.concat([pl.read_parquet(self.place(run) / name) for run in self.names])
        except (PolarsError, OSError) as error:
            raise DataRefused(f"{name} of a run in {self.directory} cannot be read ({error}); run it again") from error


def potential(library: Library, episode_id: str) -> pl.DataFrame | None:
    """The simulator's own word on an episode (`phi`, `stalled`), where it was noted."""
    found = next(library.workspace.derived.glob(f"privileged/*/{episode_id}.parquet"), None)
    return None if found is None else pl.read_parquet(found).sort("frame_index")


def value_curve(library: Library, episode_id: str, first_step: int) -> pl.DataFrame | None:
    """V of the model that was in force when the episode began, at training step `first_step`; None before any."""
    place = _round_at(library.workspace.derived / "rounds", first_step)
    if place is None:
        return None
    from models.dataset import load_step_data
    from models.sidecars import value_frame
    from models.value import ValueModel

    success = Outcome(library.store.attributes(episode_id)["success"]).as_bool()
    episode = load_step_data(library.store, episode_id, success=success, split="train")
    return value_frame(episode, ValueModel.load(place / "value").curves(episode))


def _round_at(rounds: Path, first_step: int) -> Path | None:
    """The latest round that was fitted by then."""
    told = {path.parent: read_sealed(path) for path in rounds.glob(f"*/{ROUND}")}
    fitted = [place for place, made in told.items() if "refused" not in made and made["from_step"] <= first_step]
    return max(fitted, key=lambda place: int(place.name), default=None)
