"""The figures of docs/concepts, drawn from what the stages of a workspace left.

`python -m pipelines.concept_figures --root workspace --task tube_insertion --out docs/concepts`: five PNG files. The
episodes shown are chosen by rule (the first held-out ones of a kind, in id order), not by eye.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from models.curve import true_runs

SUCCESS, FAILURE, INK = "#1b7f4d", "#b3261e", "#5f6b7a"
SIZE_IN, DPI = (6.4, 2.6), 100


class Figures:
    """What the figures read of one task."""

    def __init__(self, root: Path, task: str) -> None:
        self._derived, self._task = root / "derived", task
        self.values, self.triggers = self._curves("values/curves"), self._curves("triggers/curves")
        self.labels = pl.read_parquet(self.place("labels/audited") / "labels.parquet")
        decided = pl.read_parquet(self.place("episodes/decided") / "table.parquet")
        split = pl.read_parquet(self.place("episodes/split") / "table.parquet")
        held_out = split.filter(pl.col("split").is_in(["validation", "test"])).select("episode_id")
        self.episodes = decided.join(held_out, on="episode_id").sort("episode_id")

    def place(self, stage: str) -> Path:
        """Directory of a stage of the task."""
        return self._derived / stage / self._task

    def _curves(self, stage: str) -> pl.DataFrame:
        return pl.concat(
            [pl.read_parquet(path) for path in sorted((self._derived / stage).glob(f"{self._task}*/*.parquet"))]
        )

    def held_out(self, success: str, count: int, collection: str = "rollout") -> list[str]:
        """Ids of the first held-out episodes of a kind."""
        kind = (pl.col("success") == success) & (pl.col("collection") == collection)
        return list(self.episodes.filter(kind)["episode_id"][:count])

    def curve(self, frames: pl.DataFrame, episode_id: str, column: str) -> Any:
        """(T,) one column of one episode."""
        return frames.filter(pl.col("episode_id") == episode_id)[column].to_numpy()


def value(found: Figures, axes: Any) -> None:
    """V with its band in three successes and three failures."""
    for kind, colour in (("success", SUCCESS), ("failure", FAILURE)):
        for episode_id in found.held_out(kind, 3):
            v, lo, hi = (found.curve(found.values, episode_id, name) for name in ("value", "value_lo", "value_hi"))
            axes.plot(v, color=colour, linewidth=1)
            axes.fill_between(np.arange(len(v)), lo, hi, color=colour, alpha=0.08, linewidth=0)
        axes.plot([], [], color=colour, label=kind)
    axes.set(xlabel="step", ylabel="V", ylim=(0, 1))
    axes.legend(frameon=False)


def labels(found: Figures, axes: Any) -> None:
    """V of a failure, shaded where it is labelled."""
    (episode_id,) = found.held_out("failure", 1)
    axes.plot(found.curve(found.values, episode_id, "value"), color=INK, linewidth=1)
    for row in found.labels.filter(pl.col("episode_id") == episode_id).iter_rows(named=True):
        axes.axvspan(row["start"], row["stop"], color=FAILURE, alpha=0.15, linewidth=0)
        axes.text(row["start"] + 1, 0.05, row["rule"], fontsize=8, color=FAILURE)
    axes.set(xlabel="step", ylabel="V", ylim=(0, 1))


def trigger(found: Figures, axes: Any) -> None:
    """The score in successes and failures, and both thresholds."""
    place = found.place("models/intervention") / "trigger.json"
    fitted = json.loads(place.read_text())["content"]
    for kind, colour in (("success", SUCCESS), ("failure", FAILURE)):
        for episode_id in found.held_out(kind, 6):
            axes.plot(found.curve(found.triggers, episode_id, "score"), color=colour, linewidth=0.9, alpha=0.8)
        axes.plot([], [], color=colour, label=kind)
    for name, style in (("threshold", "-"), ("early_threshold", "--")):
        axes.axhline(fitted[name], color=INK, linestyle=style, linewidth=0.9, label=name.replace("_", " "))
    axes.set(xlabel="step", ylabel="score of the trigger")
    axes.legend(frameon=False, fontsize=8)


def memory(found: Figures, axes: Any) -> None:
    """Each item as an arrow from the value of its key to that of its goal, and what stuck states were shown."""
    from safetensors.numpy import load_file

    arrays = load_file(found.place("memory/recovery") / "items.safetensors")
    pairs = pl.read_parquet(found.place("memory/recovery") / "pairs.parquet")
    axes.scatter(arrays["value"], arrays["goal_value"], s=7, color=INK, alpha=0.6, label="items: key and goal")
    axes.scatter(
        pairs["query_value"], pairs["goal_value"], s=9, color=FAILURE, alpha=0.6, label="stuck state and its goal"
    )
    axes.plot([0, 1], [0, 1], color=INK, linewidth=0.6)
    axes.set(xlabel="V at the start", ylabel="V of the goal", xlim=(0, 1), ylim=(0, 1))
    axes.legend(frameon=False, fontsize=8)


def recovery(found: Figures, axes: Any) -> None:
    """V from 3 s before each recorded recovery to 6 s after its start; without one, from each takeover."""
    from episodes.record import ActionSource
    from episodes.store import EpisodeStore

    store, actor = EpisodeStore(found._derived.parent), ActionSource.RECOVERY
    known = set(found.values["episode_id"].unique())
    sources = {
        name: store.read(name, images=False).action_source for name in store.ids(task=found._task) if name in known
    }
    if not any((source == actor).any() for source in sources.values()):
        actor = ActionSource.HUMAN
    shown = 0
    for name, source in sorted(sources.items()):
        starts = [start for start, _ in true_runs(source == actor) if start > 0]
        for start in starts[:1]:
            v = found.curve(found.values, name, "value")[max(0, start - 30) : start + 60]
            axes.plot((np.arange(len(v)) - min(30, start)) / 10, v, color=INK, linewidth=0.8, alpha=0.5)
            shown += 1
        if shown == 25:
            break
    axes.axvline(0, color=FAILURE, linewidth=0.9)
    what = "recovery" if actor == ActionSource.RECOVERY else "takeover"
    axes.set(xlabel=f"seconds from the start of the {what} ({shown})", ylabel="V", ylim=(0, 1))


FIGURES: dict[str, Callable[[Figures, Any], None]] = {
    "value": value,
    "labels": labels,
    "trigger": trigger,
    "memory": memory,
    "recovery": recovery,
}


def main() -> None:
    """Draw them all."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    parser = argparse.ArgumentParser(description="The figures of docs/concepts, from a workspace.")
    parser.add_argument("--root", type=Path, default=Path("workspace"))
    parser.add_argument("--task", default="tube_insertion")
    parser.add_argument("--out", type=Path, default=Path("docs/concepts"))
    arguments = parser.parse_args()
    found = Figures(arguments.root, arguments.task)
    for name, draw in FIGURES.items():
        figure = Figure(figsize=SIZE_IN, dpi=DPI, layout="constrained")
        axes = figure.add_subplot()
        axes.spines[["top", "right"]].set_visible(False)
        draw(found, axes)
        FigureCanvasAgg(figure).print_png(arguments.out / f"{name}.png")


if __name__ == "__main__":
    main()
