"""The demo's table and its JSON: the names that were promised, null where nothing is defined."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from release_parts import make_parts, make_release
from rich.console import Console

from episodes.workspace import Workspace
from models.evaluation import arm_report, figures_json, trigger_report, value_report
from models.memory import MemoryItem, RecoveryMemory
from models.recall import SituationEncoder
from models.trigger import Trigger, TriggerConfig
from pipelines.arm_episodes import ArmEpisode
from pipelines.closed_loop import ARMS
from pipelines.scoreboard import OUTSIDE, Scoreboard, TaskScores, print_scoreboard, unequal_budgets
from pipelines.simulated import Arm

NAMED = {
    "value": {"voc", "success_auroc", "n"},
    "trigger": {"precision", "recall", "failures_flagged", "successes_alarmed", "delay_s", "n"},
    "memory": {"items"},
}
NAMED_ARMS = {"without": {"sr", "ir", "n"}, "random": {"sr", "ir", "n", "recovery_rate"}}
NAMED_ARMS["with"] = NAMED_ARMS["random"]


def figure(value: float | None, n: int = 5) -> dict[str, Any]:
    return {"value": value, "lo": value, "hi": value, "n": n}


def offline(value: float | None) -> dict[str, Any]:
    nothing = {
        "value": figures_json(value_report([], {}, {}, median_duration_s=1.0)),
        "trigger": figures_json(trigger_report([], {}, {}, {})),
        "early_trigger": figures_json(trigger_report([], {}, {}, {})),
    }
    return {part: dict.fromkeys(names, figure(value)) for part, names in nothing.items()}


def row(human: int, recoveries: int = 0, recovered: int = 0, **changes: Any) -> ArmEpisode:
    given: dict[str, Any] = {
        "source": np.array([0] * (10 - human) + [2] * human, np.uint8),
        "success": True,
        "end": "success",
        "failure": "",
        "recoveries": recoveries,
        "recovered": recovered,
        "takeovers": 1,
        "reasons": ("stall",),
    }
    return ArmEpisode(**(given | changes))


EPISODES: dict[Arm, list[ArmEpisode]] = {
    "without": [row(5), row(3, success=False, end="timeout", failure="jam")],
    "random": [row(4, 1, 0), row(4, 1, 1, reasons=("asked", "stall"))],
    "with": [row(1, 2, 2), row(0, 1, 0, reasons=())],
}


def scores(value: float | None = 0.9, episodes: dict[Arm, list[ArmEpisode]] = EPISODES) -> TaskScores:
    return TaskScores(
        task="tube_insertion",
        offline={"held_out": offline(value), "out_of_fold": offline(0.5)},
        trigger={"alpha": 0.05, "early_alpha": 0.25},
        memory_items=12,
        arms={arm: arm_report([e.source for e in rows], [e.success for e in rows]) for arm, rows in episodes.items()},
        episodes=episodes,
    )


def board(**given: Any) -> Scoreboard:
    return Scoreboard(tasks=[scores(**given)], seconds={"demonstrations": 3.5, "closed loop": 60.0})


def test_the_report_has_the_promised_names() -> None:
    told = json.loads(json.dumps(board().json(), allow_nan=False))
    assert {"value", "trigger", "closed_loop", "memory", "seconds"} <= set(told)
    for part, names in NAMED.items():
        assert names <= set(told[part])
    assert set(told["closed_loop"]) == {*NAMED_ARMS, "human_steps_saved"}
    assert set(ARMS) == set(NAMED_ARMS)
    for arm, names in NAMED_ARMS.items():
        assert names <= set(told["closed_loop"][arm])
    assert told["seconds"] == {"demonstrations": 3.5, "closed loop": 60.0}
    assert told["memory"] == {"items": 12}
    assert told["tasks"]["tube_insertion"]["value"] == told["value"]


def test_the_figures_are_those_of_the_held_out_split_and_of_the_recordings() -> None:
    told = board().json()
    assert told["value"]["voc"] == told["trigger"]["delay_s"] == 0.9
    assert told["value"]["n"] == told["trigger"]["n"] == 5
    without, random, with_ = (told["closed_loop"][arm] for arm in ARMS)
    assert (without["sr"], without["ir"], without["n"]) == (0.5, 0.4, 2)
    assert (with_["sr"], with_["ir"]) == (1.0, 0.05)
    assert without["ir_lo"] <= without["ir"] <= without["ir_hi"]
    assert (random["recoveries"], random["recovery_success"]) == (2, 0.5)
    assert (with_["recoveries"], with_["recovery_success"]) == (3, pytest.approx(2 / 3))
    assert without["recovery_success"] is None
    assert random["takeover_reasons"] == {"stall": 2, "asked": 1}
    assert without["ends"] == {"success": 1, "timeout": 1}
    assert (without["failure_modes"], with_["failure_modes"]) == ({"jam": 1}, {})


def test_the_alarm_that_acts_is_named_and_what_its_alpha_bounds_is_apart_from_what_it_does_not() -> None:
    early = {**offline(0.9)["early_trigger"], "successes_alarmed": figure(0.545), OUTSIDE: figure(0.182)}
    parts = {"held_out": {**offline(0.9), "early_trigger": early}, "out_of_fold": offline(0.5)}
    made = Scoreboard(tasks=[replace(scores(), offline=parts)], seconds={})
    told = made.json()
    assert (told["trigger"]["acts_on_robot"], told["early_trigger"]["acts_on_robot"]) == (False, True)
    assert (told["early_trigger"][OUTSIDE], told["early_trigger"]["successes_alarmed"]) == (0.182, 0.545)
    console = Console(record=True, width=200)
    print_scoreboard(made, console)
    lines = console.export_text().splitlines()
    (title,) = (n for n, line in enumerate(lines) if "early alarm that acts on the robot, alpha 0.25" in line)
    below = {
        text: line for line in lines[title:] for text in ("outside labelled stalls", "at any step") if text in line
    }
    assert "alpha bounds this" in below["outside labelled stalls"]
    assert "0.182" in below["outside labelled stalls"]
    assert "0.545" in below["at any step"]
    assert "alpha" not in below["at any step"]
    assert any("alarm that judges whole episodes, alpha 0.05 " in line for line in lines[:title])


def test_the_report_and_the_table_say_what_regrasp_saved() -> None:
    told = board().json()["closed_loop"]["human_steps_saved"]
    assert told["with_minus"]["without"]["value"] == pytest.approx(0.5 - 4)
    assert told["with_minus"]["random"] == {"value": -3.5, "lo": -4.0, "hi": -3.0, "n": 2}
    console = Console(record=True, width=500)
    print_scoreboard(board(), console)
    assert told["verdict"] in console.export_text()


def test_what_is_undefined_is_null_and_the_table_says_so() -> None:
    empty = board(value=None, episodes={arm: [] for arm in ARMS})
    told = json.loads(json.dumps(empty.json(), allow_nan=False))
    assert told["value"]["voc"] is told["trigger"]["precision"] is told["closed_loop"]["with"]["sr"] is None
    assert told["closed_loop"]["with"]["n"] == 0
    console = Console(record=True, width=200)
    print_scoreboard(empty, console)
    assert "undefined n 5" in console.export_text()


def test_the_table_prints_each_figure_with_interval_and_n() -> None:
    console = Console(record=True, width=200)
    print_scoreboard(board(), console)
    text = console.export_text()
    assert "0.9 [.90, .90] n 5" in text
    assert "closed loop, 2 paired episodes an arm" in text
    assert "3, 67%" in text
    assert "memory items" in text
    assert "by the simulator" in text
    assert "jam 1" in text
    assert "64 s in all" in text


@pytest.mark.parametrize("value", [0.953, 0.0171, 12.34, None])
def test_eighty_columns_break_no_figure(value: float | None) -> None:
    wide = dict.fromkeys(offline(0.9)["early_trigger"], figure(value, 12_345))
    parts = {"held_out": {**offline(value), "early_trigger": wide}, "out_of_fold": offline(value)}
    long = {arm: [row(137, source=np.array([0] * 4862 + [2] * 137, np.uint8))] * 2 for arm in ARMS}
    made = Scoreboard(tasks=[replace(scores(episodes=long), offline=parts)], seconds={})
    console = Console(record=True, width=80)
    print_scoreboard(made, console)
    cells = [cell.strip() for line in console.export_text().splitlines() for cell in line.split("│")[2:-1]]
    figures = [cell for cell in cells if "[" in cell or "]" in cell or "n 12345" in cell or "n 9998" in cell]
    assert len(figures) > 10
    assert [cell for cell in figures if not re.search(r"(\[\S+, \S+\]|undefined) n \d+$", cell)] == []


def recovering(steps: int, recoveries: int) -> ArmEpisode:
    return row(0, recoveries, source=np.array([0] * (100 - steps) + [1] * steps, np.uint8))


@pytest.mark.parametrize(
    ("at_random", "told"), [(20, False), (19, False), (22, False), (17, True), (23, True), (0, True)]
)
def test_a_control_with_another_budget_is_called_one(at_random: int, told: bool) -> None:
    episodes = {"without": [row(5)], "random": [recovering(at_random, 2)], "with": [recovering(20, 2)]}
    found = unequal_budgets(scores(episodes=episodes))
    assert bool(found) is told
    console = Console(record=True, width=300)
    print_scoreboard(board(episodes=episodes), console)
    text = console.export_text()
    assert ("The budgets differ by over 10%" in text) is told
    assert "recovery rate" in text
    if told:
        assert f"the random trigger recovered for {at_random / 100:.3g} of all steps in 2 recoveries" in found
        assert "Regrasp for 0.2 of all steps in 2 recoveries (0.0244 for each step of the policy)" in found


def test_offline_figures_alphas_and_memory_are_those_that_the_release_carries(tmp_path: Path) -> None:
    parts = make_parts(tmp_path / "models")
    encoder = SituationEncoder(proprio_names=("a",), mean=(0.0,), sd=(1.0,), floor=0.1, margin=0.0)
    trigger = Trigger(
        config=TriggerConfig(alpha=0.3, early_alpha=0.4),
        median_steps=20.0,
        cusum_threshold=1.0,
        probability_threshold=1.0,
        threshold=2.0,
        early_threshold=1.0,
        calibration_episodes=9,
        alarm_rate=0.0,
        policy_ids=("p",),
        value_hash="v",
        intervention_hash="i",
    )
    trigger.save(parts["trigger"])
    items = [
        MemoryItem(
            task="t",
            episode_id="e",
            t=t,
            goal_t=t + 9,
            key=np.ones(1, np.float32),
            goal=np.ones(1, np.float32),
            value=0.1,
            goal_value=0.5,
            chunk=np.zeros((8, 2), np.float32),
        )
        for t in range(3)
    ]
    encoder.save(parts["memory"])
    RecoveryMemory.build(items, encoder.encoder_id).save(parts["memory"])
    carried = {"held_out": offline(0.25), "out_of_fold": offline(0.5)}
    release = make_release(tmp_path / "w", parts, evaluation=carried)
    made = Scoreboard.of(
        Workspace.open(tmp_path / "w"), {"tube_insertion": release.version}, {"tube_insertion": EPISODES}, {}
    )
    assert made.json()["memory"]["items"] == 3
    assert made.json()["value"]["voc"] == 0.25
    (told,) = made.tasks
    assert (told.trigger["alpha"], told.trigger["early_alpha"]) == (0.3, 0.4)
