"""Benchmark: how runs of methods went, what they reached, and any episode of any run, watched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import streamlit as st

from episodes.record import Episode
from labeling_app import desk, figures
from labeling_app.benchmark import DEMONSTRATED, LEARNED, RunName, Runs, potential, schedules, value_curve
from labeling_app.cursor import chart, cursor_bar
from labeling_app.data import Library
from labeling_app.learning import colours_of, learning_figure
from models.learning_curves import intervention_curve, success_curve

FIGURES = ("sr", "ir", "ir_online", "training_sr", "human_steps_per_episode", "recovery_share")
HELD = 64
"""runs open at a time"""


def page() -> None:
    """Draw the page."""
    st.subheader("Benchmark")
    found = schedules(desk.root())
    if not found:
        desk.empty("No run of the benchmark is finished here. Run methods in simulation:", "regrasp benchmark run")
        return
    schedule, task, _ = st.columns([2, 3, 7])
    chosen = schedule.selectbox("Schedule", found, key="benchmark-schedule")
    runs = _runs(desk.root() / "benchmark" / chosen)
    tasks = list(dict.fromkeys(run.task for run in runs.names))
    on = task.selectbox("Task", tasks, key="benchmark-task")
    _curves(runs, on)
    _table(runs.table, on)
    _watch(runs, on)


def _runs(directory: Path) -> Runs:
    """Read again when another run is finished."""
    done = [(path.stat().st_mtime_ns, str(path)) for path in sorted(directory.glob("*/*/*/run.json"))]
    summary = directory / "table.json"
    return _read(str(directory), (*done, summary.stat().st_mtime_ns if summary.exists() else 0))


@st.cache_resource(show_spinner=False, max_entries=4)
def _read(directory: str, stamp: tuple[Any, ...]) -> Runs:
    return Runs(Path(directory))


@st.cache_resource(show_spinner=False, max_entries=HELD)
def _library(path: str) -> Library:
    return Library(Path(path))


@st.cache_data(show_spinner="Value curve", max_entries=256)
def _value(path: str, episode_id: str, first_step: int) -> pl.DataFrame | None:
    return value_curve(_library(path), episode_id, first_step)


def _curves(runs: Runs, task: str) -> None:
    colours = colours_of([run.method for run in runs.names])
    here = pl.col("task") == task
    curves = {
        "SR, policy alone": (success_curve(runs.trials.filter(here)), "sr"),
        "IR, each 1000 steps": (intervention_curve(runs.training.filter(here)), "ir"),
    }
    for column, (title, (curve, name)) in zip(st.columns(2, gap="medium"), curves.items(), strict=True):
        with column:
            figure = learning_figure(curve, name, title, colours)
            st.plotly_chart(figure, key=f"learning-{name}", config={"displayModeBar": False})
    st.caption("One line a run, a colour a method; a click on a name hides the method.")


def _table(found: Mapping[str, Any], task: str) -> None:
    if not found:
        desk.empty("The table of these runs is not computed yet:", "regrasp benchmark run")
        return
    rows = [row for row in found["tasks"] if row["task"] == task]
    means = [{**row, "task": "mean of " + ", ".join(row["tasks"])} for row in found["mean"]]
    st.dataframe(pl.DataFrame([_shown(row) for row in (*rows, *means)]), hide_index=True)
    for crash in found["crashed"]:
        st.warning(desk.plain("{task} {method} seed {seed} crashed: {error}".format(**crash)))


def _shown(row: Mapping[str, Any]) -> dict[str, str]:
    told = {"task": row["task"], "method": row["method"], "seeds": ", ".join(map(str, row["seeds"]))}
    told |= {name.replace("_", " "): _figure(row, name) for name in FIGURES}
    return told | {"takeovers": _few(row["takeovers"]), "failures": _few(row["failure_modes"])}


def _figure(row: Mapping[str, Any], name: str) -> str:
    """A figure with its interval where it has one."""
    if row.get(name) is None:
        return "-"
    low, high = row.get(f"{name}_lo"), row.get(f"{name}_hi")
    return f"{row[name]:.3g}" + ("" if low is None else f" [{low:.3g}, {high:.3g}]")


def _few(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())


@desk.fragment
def _watch(runs: Runs, task: str) -> None:
    """Choose a run and one of its episodes, and see who did what when."""
    which, what = st.columns([2, 5])
    names = [run for run in runs.names if run.task == task]
    run = which.selectbox("Run", names, format_func=lambda r: f"{r.method}, seed {r.seed}", key="benchmark-run")
    library = _library(str(runs.place(run)))
    told = _episodes(runs, run, library)
    ids = list(told)
    if not ids:
        desk.empty("The recordings of this run are not here; its figures are.")
        return
    if st.session_state.get("watched") not in ids:
        st.session_state.watched = ids[0]
    place = ids.index(st.session_state.watched)
    with what:
        st.selectbox(
            f"Episode {place + 1} of {len(ids)}", ids, key="watched", format_func=lambda each: told[each]["told"]
        )
    before, after, _ = st.columns([1, 1, 6], gap="xsmall")
    for column, label, shortcut, by in ((before, "Previous", "k", -1), (after, "Next", "j", 1)):
        with column:
            at = min(max(place + by, 0), len(ids) - 1)
            desk.key(label, shortcut, _select, ids[at], 0, deciding=False, disabled=at == place)
    _episode(library, ids[place], told[ids[place]]["first_step"], ids)


def _episodes(runs: Runs, run: RunName, library: Library) -> dict[str, dict[str, Any]]:
    """Episode id -> what the list says of it and the training step it began at; demonstrations last."""
    rows = {
        row["episode_id"]: {"told": f"training {row['index']} · {_story(row)}", "first_step": row["first_step"]}
        for row in runs.episodes(run).iter_rows(named=True)
    }
    shown = library.store.ids(session=DEMONSTRATED)
    return rows | {each: {"told": f"demonstration {each}", "first_step": -1} for each in shown}


def _story(row: Mapping[str, Any]) -> str:
    parts = ["success" if row["success"] else row["failure_mode"] or "failure", f"{row['steps']} steps"]
    parts += [f"taken over for {', '.join(row['reasons'])}"] if row["reasons"] else []
    parts += [f"{row['recoveries']} recoveries"] if row["recoveries"] else []
    return " · ".join(parts)


def _episode(library: Library, episode_id: str, first_step: int, ids: Sequence[str]) -> None:
    episode = library.episode(episode_id)
    left, right = st.columns([13, 7], gap="medium")
    with left:
        t = cursor_bar(episode_id, episode)
        curve = _value(str(library.workspace.root), episode_id, first_step) if episode.session == LEARNED else None
        known = potential(library, episode_id)
        chart(figures.watch_figure(episode, cursor=t, curve=curve, potential=known), f"watch-{episode_id}")
    with right:
        _events(episode, ids)


def _events(episode: Episode, ids: Sequence[str]) -> None:
    """What happened, in order; a retrieved goal can be looked at where it was recorded."""
    if not episode.events:
        st.caption("Nothing happened but the episode.")
        return
    rows = [
        {"step": event["t"], "what": event["kind"].replace("_", " "), "how": _how(event)} for event in episode.events
    ]
    st.dataframe(pl.DataFrame(rows), hide_index=True)
    goals = dict.fromkeys(event["item"].rpartition(">")[2] for event in episode.events if event.get("item"))
    for item in goals:  # of the key and the goal that it leads to, the goal
        goal, _, step = item.rpartition(":")
        if goal in ids:
            at = int(step)
            st.button(f"Goal: step {at} of {goal}", key=f"goal-{item}", on_click=_select, args=(goal, at))


def _how(event: Mapping[str, Any]) -> str:
    """The details of an event in a few words."""
    detail = {name: value for name, value in event.items() if name not in ("t", "kind") and value not in ("", None)}
    return ", ".join(
        f"{n.replace('_', ' ')} {v:.3g}" if isinstance(v, float) else f"{n} {v}" for n, v in detail.items()
    )


def _select(episode_id: str, t: int) -> None:
    st.session_state.update(watched=episode_id, t=t)
