"""What the quick demo reports: every figure is there, holds what the product promises, and is read off recordings.

Whether Regrasp saves human steps is not asked here: a dozen episodes an arm cannot answer it. That the comparison is a
fair one is.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl
import pytest
from conftest import RETURNED, DemoRun

from audits.freeze import list_freezes
from audits.log import AuditLog
from episodes.record import ActionSource, Array, Outcome
from episodes.store import EpisodeStore
from models.metrics import intervention_rate
from models.sealed import read_sealed
from releases.bundle import open_release
from releases.ledger import history

TASK = "tube_insertion"
FIGURES = {
    "value": ("voc", "success_auroc", "n"),
    "trigger": ("precision", "recall", "failures_flagged", "successes_alarmed", "balanced_accuracy", "delay_s", "n"),
    "early_trigger": ("failures_flagged", "successes_alarmed_outside_labels", "successes_alarmed", "delay_s", "n"),
    "memory": ("items",),
    "closed_loop/without": ("sr", "ir", "n"),
    "closed_loop/random": ("sr", "ir", "n", "recovery_rate"),
    "closed_loop/with": ("sr", "ir", "n", "recovery_rate"),
}
pytestmark = pytest.mark.demo


def at(report: dict[str, Any], place: str) -> dict[str, Any]:
    for key in place.split("/"):
        report = report[key]
    return report


@pytest.fixture(scope="module")
def arms(demo_workspace: DemoRun) -> dict[str, list[tuple[int, Array, bool]]]:
    """arm -> (seed, source of each step, success) of every episode that came back, in the order of the seeds."""
    store, found = EpisodeStore(demo_workspace.root), {}
    for arm in RETURNED:
        (session,) = (name for name in store.sessions() if f"-{arm}-" in name)
        episodes = [store.read(name, images=False) for name in store.ids(session=session)]
        rows = [(int(e.collected_by["seed"]), e.action_source, e.success is Outcome.SUCCESS) for e in episodes]
        found[arm] = sorted(rows, key=lambda row: row[0])
    return found


@pytest.mark.parametrize("place", FIGURES)
def test_every_figure_is_defined(demo_workspace: DemoRun, place: str) -> None:
    told = at(demo_workspace.report, place)
    figures = {name: told[name] for name in FIGURES[place]}
    assert all(isinstance(value, int | float) and math.isfinite(value) for value in figures.values()), figures


def test_the_time_of_every_stage_is_told(demo_workspace: DemoRun) -> None:
    seconds = demo_workspace.report["seconds"]
    assert {"demonstrations", "rollouts", "values and labels", "closed loop"} <= set(seconds)
    assert all(spent > 0 for spent in seconds.values())


def test_the_value_holds_on_episodes_nothing_was_learned_from(demo_workspace: DemoRun) -> None:
    value = demo_workspace.report["value"]
    assert value["voc"] >= 0.92, value
    assert value["success_auroc"] >= 0.90, value


def test_the_trigger_tells_held_out_failures_from_successes(demo_workspace: DemoRun) -> None:
    trigger = demo_workspace.report["trigger"]
    assert trigger["failures_flagged"] >= 0.95, trigger
    assert trigger["balanced_accuracy"] >= 0.90, trigger


def test_the_alarm_that_acts_is_named_with_what_its_alpha_bounds(demo_workspace: DemoRun) -> None:
    early = demo_workspace.report["early_trigger"]
    assert (early["acts_on_robot"], demo_workspace.report["trigger"]["acts_on_robot"]) == (True, False)
    assert 0 <= early["successes_alarmed_outside_labels"] <= early["successes_alarmed"] <= 1
    assert early["successes_alarmed_outside_labels_lo"] <= 0.2, early


def test_the_saving_of_human_steps_is_judged_by_pairs_of_seeds_and_printed(
    demo_workspace: DemoRun, arms: dict[str, list[tuple[int, Array, bool]]]
) -> None:
    saved = demo_workspace.report["closed_loop"]["human_steps_saved"]
    human = {
        arm: np.array([(source == ActionSource.HUMAN).sum() for _, source, _ in rows]) for arm, rows in arms.items()
    }
    for other in ("without", "random"):
        paired = saved["with_minus"][other]
        assert paired["n"] == len(human["with"])
        assert paired["value"] == pytest.approx((human["with"] - human[other]).mean(), abs=1e-6)
    assert saved["verdict"] in " ".join(demo_workspace.printed.split())


@pytest.mark.parametrize("arm", RETURNED)
def test_the_simulator_says_how_each_failed_episode_failed(demo_workspace: DemoRun, arm: str) -> None:
    told = demo_workspace.report["closed_loop"][arm]
    assert sum(told["failure_modes"].values()) == round(told["n"] * (1 - told["sr"]))
    assert not {"", "unknown"} & set(told["failure_modes"])


def test_there_is_enough_to_judge_and_to_calibrate_on(demo_workspace: DemoRun) -> None:
    derived = demo_workspace.root / "derived"
    decided = pl.read_parquet(derived / "episodes/decided" / TASK / "table.parquet")
    split = decided.join(pl.read_parquet(demo_workspace.root / "split.parquet"), on="episode_id")
    held_out = split.filter(pl.col("split").is_in(("validation", "test")))
    counts = dict(held_out["success"].value_counts().iter_rows())
    assert min(counts["success"], counts["failure"]) >= 8, counts
    trigger = read_sealed(derived / "models/intervention" / TASK / "trigger.json")
    assert trigger["calibration_episodes"] >= 20


def test_the_three_arms_drive_the_same_episodes(
    demo_workspace: DemoRun, arms: dict[str, list[tuple[int, Array, bool]]]
) -> None:
    seeds = {arm: [seed for seed, _, _ in rows] for arm, rows in arms.items()}
    assert seeds["without"] == seeds["random"] == seeds["with"]
    assert all(first < second for first, second in pairwise(seeds["with"]))
    assert {demo_workspace.report["closed_loop"][arm]["n"] for arm in RETURNED} == {len(seeds["with"])}
    assert len(seeds["with"]) >= 10


@pytest.mark.parametrize("arm", RETURNED)
def test_the_closed_loop_is_counted_from_the_recordings(
    demo_workspace: DemoRun, arms: dict[str, list[tuple[int, Array, bool]]], arm: str
) -> None:
    told = demo_workspace.report["closed_loop"][arm]
    sources, won = [source for _, source, _ in arms[arm]], [success for _, _, success in arms[arm]]
    steps = np.concatenate(sources)
    assert 0 <= told["ir"] <= 1
    assert told["ir"] == pytest.approx(intervention_rate(steps), abs=1e-6)
    assert told["human_steps"] == pytest.approx(np.mean([(s == ActionSource.HUMAN).sum() for s in sources]), abs=1e-6)
    assert told["sr"] == pytest.approx(np.mean(won), abs=1e-6)
    assert told["recovery_rate"] == pytest.approx((steps == ActionSource.RECOVERY).mean(), abs=1e-6)
    assert (told["recovery_rate"] > 0) == (told["recoveries"] > 0)


def test_nobody_but_the_simulated_robot_gets_the_release(demo_workspace: DemoRun) -> None:
    (move,) = history(demo_workspace.root)
    assert (move.profile, move.task, move.by) == ("sim", TASK, "demo")
    parents = open_release(demo_workspace.root, move.moved_to).manifest.parents
    assert (parents.episode_freeze, parents.label_freeze) == ("demo", "demo")


def test_what_was_frozen_stands_in_a_whole_log(demo_workspace: DemoRun) -> None:
    log = AuditLog(demo_workspace.root / "audits.sqlite")
    assert {(made.kind, made.name) for made in list_freezes(log)} >= {("episodes", "demo"), ("labels", "demo")}
    assert log.verify() == len(log.events())


def test_the_last_lines_name_the_two_places_to_look(demo_workspace: DemoRun) -> None:
    said = " ".join(demo_workspace.printed.split())
    assert f"regrasp ui --root {demo_workspace.root}" in said
    assert f"regrasp app --root {demo_workspace.root}" in said
