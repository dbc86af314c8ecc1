"""What the demo found, in figures: each with its split, n and 95 % interval; what is undefined is null."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from episodes.workspace import Workspace
from pipelines.arm_episodes import ArmEpisode, trigger_rate
from pipelines.closed_loop import ARMS
from pipelines.human_steps import OTHERS, difference, verdict
from pipelines.simulated import Arm
from releases.bundle import open_release

if TYPE_CHECKING:
    from models.evaluation import ArmReport

ARM_NAMES: Mapping[Arm, str] = {
    "without": "policy + human",
    "random": "+ random trigger, same budget",
    "with": "+ Regrasp",
}
OUTSIDE = "successes_alarmed_outside_labels"
SAME_BUDGET = 0.1
"""relative difference of recovery rates up to which the control counts as having the same budget"""
ARM_WIDTH = 17
"""characters that a figure of an arm needs in two lines; three of them and their names fit into 80 columns"""
TRIGGER = ("precision", "recall", "failures_flagged", "successes_alarmed", OUTSIDE, "balanced_accuracy", "delay_s")
STEPS_AND_FAILURES = {
    "precision": "precision, steps in a stall",
    "recall": "recall, steps in a stall",
    "failures_flagged": "failures flagged",
}
ROWS: Mapping[tuple[str, str], Mapping[str, str]] = {
    ("value", "value"): {
        "voc_nominal": "VOC of V, nominal successes",
        "success_auroc": "AUROC of W, last fifth",
        "length_auroc": "AUROC of length alone (control)",
    },
    ("alarm that judges whole episodes, alpha {alpha:g}", "trigger"): {
        **STEPS_AND_FAILURES,
        "successes_alarmed": "successes alarmed at any step (alpha bounds this)",
        "balanced_accuracy": "balanced accuracy, episodes",
        "delay_s": "delay after the stall's onset, s",
    },
    ("early alarm that acts on the robot, alpha {early_alpha:g}", "early_trigger"): {
        **STEPS_AND_FAILURES,
        OUTSIDE: "successes alarmed outside labelled stalls (alpha bounds this)",
        "successes_alarmed": "successes alarmed at any step, also in a stall they got out of",
        "delay_s": "delay after the stall's onset, s",
    },
}
"""(title, with settings of the trigger; part of the evaluation) -> its figures in the table"""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskScores:
    """One task."""

    task: str
    offline: Mapping[str, Any]
    """`held_out` and `out_of_fold`, each with `value` and `trigger`, as the release carries them"""
    trigger: Mapping[str, Any]
    """settings of the release's trigger, `alpha` and `early_alpha` among them"""
    memory_items: int
    arms: Mapping[Arm, ArmReport]
    episodes: Mapping[Arm, Sequence[ArmEpisode]]

    @classmethod
    def of(cls, workspace: Workspace, task: str, version: str, arms: Mapping[Arm, Sequence[ArmEpisode]]) -> TaskScores:
        """Read the evaluation, the trigger and the memory that the release carries, and sum up the arms."""
        from models.evaluation import arm_report
        from models.memory import RecoveryMemory
        from models.recall import SituationEncoder
        from models.trigger import Trigger

        release = open_release(workspace.root, version)
        memory = release.part("memory")
        encoder = SituationEncoder.load(memory)
        return cls(
            task=task,
            offline=release.manifest.evaluation,
            trigger=asdict(Trigger.load(release.part("trigger")).config),
            memory_items=len(RecoveryMemory.load(memory, encoder.encoder_id)),
            arms={arm: arm_report([e.source for e in rows], [e.success for e in rows]) for arm, rows in arms.items()},
            episodes=arms,
        )

    def json(self) -> dict[str, Any]:
        """`value`, `trigger`, `closed_loop`, `memory`; the held-out split, what is undefined is null."""
        held_out = self.offline["held_out"]
        value = held_out["value"]
        return {
            "value": {
                **_flat("voc", value["voc_nominal"]),
                **_flat("success_auroc", value["success_auroc"]),
                "n": value["success_auroc"]["n"],
                "split": "validation and test",
            },
            "trigger": {**_alarm(held_out["trigger"]), "acts_on_robot": False},
            "early_trigger": {**_alarm(held_out["early_trigger"]), "acts_on_robot": True},
            "closed_loop": {**{arm: self.arm_json(arm) for arm in ARMS}, **self.saving_json()},
            "memory": {"items": self.memory_items},
            "out_of_fold": self.offline["out_of_fold"],
        }

    def saving_json(self) -> dict[str, Any]:
        """Human steps with Regrasp minus those of each other arm, on the same seeds; and what that says, in words."""
        paired = {arm: difference(self.episodes, arm).json() for arm in OTHERS}
        return {"human_steps_saved": {"with_minus": paired, "verdict": verdict(self.episodes)}}

    def arm_json(self, arm: Arm) -> dict[str, Any]:
        report, rows = self.arms[arm], self.episodes[arm]
        recoveries = sum(row.recoveries for row in rows)
        return {
            **_flat("sr", report.success_rate.json()),
            **_flat("ir", report.intervention_rate.json()),
            **_flat("recovery_rate", report.recovery_rate.json()),
            **_flat("human_steps", report.human_steps.json()),
            "n": len(rows),
            "recoveries": recoveries,
            "recoveries_per_policy_step": trigger_rate(rows),
            "recovery_success": sum(row.recovered for row in rows) / recoveries if recoveries else None,
            "takeover_reasons": dict(Counter(reason for row in rows for reason in row.reasons)),
            "ends": dict(Counter(row.end for row in rows)),
            "failure_modes": dict(Counter(row.failure for row in rows if not row.success)),
        }


def _alarm(figures: Mapping[str, Any]) -> dict[str, Any]:
    """The figures of one alarm, at the threshold that it has."""
    flat = {key: part for name in TRIGGER for key, part in _flat(name, figures[name]).items()}
    return {**flat, "n": figures["balanced_accuracy"]["n"], "split": "validation and test"}


def _flat(name: str, measured: Mapping[str, Any]) -> dict[str, Any]:
    """A figure as `name`, `name_lo`, `name_hi`."""
    return {name: measured["value"], f"{name}_lo": measured["lo"], f"{name}_hi": measured["hi"]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scoreboard:
    """All tasks of a demo, and where the time went."""

    tasks: Sequence[TaskScores]
    seconds: Mapping[str, float]

    @classmethod
    def of(
        cls,
        workspace: Workspace,
        releases: Mapping[str, str],
        arms: Mapping[str, Mapping[Arm, Sequence[ArmEpisode]]],
        seconds: Mapping[str, float],
    ) -> Scoreboard:
        """Everything that can be said now."""
        scores = [TaskScores.of(workspace, task, version, arms[task]) for task, version in releases.items()]
        return cls(tasks=scores, seconds=seconds)

    def json(self) -> dict[str, Any]:
        """The first task's figures at the top, all tasks under `tasks`, seconds a stage."""
        return {
            **self.tasks[0].json(),
            "task": self.tasks[0].task,
            "tasks": {scores.task: scores.json() for scores in self.tasks},
            "seconds": dict(self.seconds),
        }


def print_scoreboard(board: Scoreboard, console: Console) -> None:
    """The table."""
    for scores in board.tasks:
        console.print()
        console.print(_offline_table(scores))
        console.print(_loop_table(scores))
        console.print(verdict(scores.episodes), markup=False)
        if unequal := unequal_budgets(scores):
            console.print(unequal)
    spent = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in board.seconds.items())
    console.print(f"\nTime: {spent}; {sum(board.seconds.values()):.0f} s in all")


def unequal_budgets(scores: TaskScores) -> str:
    """What is to be said where the control did not recover for as large a part of the time as Regrasp; empty if so."""
    told = {arm: scores.arm_json(arm) for arm in ("random", "with")}
    shares = {arm: told[arm]["recovery_rate"] or 0.0 for arm in told}
    if abs(shares["random"] - shares["with"]) <= SAME_BUDGET * shares["with"]:
        return ""
    at_random, real = (
        f"{shares[arm]:.3g} of all steps in {told[arm]['recoveries']} recoveries "
        f"({told[arm]['recoveries_per_policy_step']:.3g} for each step of the policy)"
        for arm in told
    )
    differ = f"The budgets differ by over {SAME_BUDGET:.0%}"
    return f"{differ}: the random trigger recovered for {at_random}, Regrasp for {real}"


def _offline_table(scores: TaskScores) -> Table:
    table = Table(title=f"{scores.task}: value and trigger on episodes they did not train on", title_justify="left")
    table.add_column()
    for column in ("held out:\nvalidation and test", "out of fold"):
        table.add_column(column, no_wrap=True)
    for (title, part), names in ROWS.items():
        table.add_section()
        table.add_row(f"[bold]{title.format(**scores.trigger)}")
        for name, text in names.items():
            figures = (scores.offline[split][part][name] for split in ("held_out", "out_of_fold"))
            table.add_row(text, *map(_cell, figures))
    return table


def _loop_table(scores: TaskScores) -> Table:
    n = len(scores.episodes["with"])
    table = Table(title=f"{scores.task}: closed loop, {n} paired episodes an arm", title_justify="left")
    table.add_column(max_width=ARM_WIDTH - 1)
    for arm in ARMS:
        table.add_column(ARM_NAMES[arm], min_width=ARM_WIDTH)
    for field_ in fields(scores.arms["with"]):
        name = field_.name.replace("_", " ")
        table.add_row(name, *(_cell(getattr(scores.arms[arm], field_.name).json(), "\n") for arm in ARMS))
    told = {arm: scores.arm_json(arm) for arm in ARMS}
    table.add_row("recoveries, that reached a better value", *(_recoveries(told[arm]) for arm in ARMS))
    table.add_row("takeovers, why", *(_counts(told[arm]["takeover_reasons"]) for arm in ARMS))
    table.add_row("ends", *(_counts(told[arm]["ends"]) for arm in ARMS))
    table.add_row("failure modes, by the simulator", *(_counts(told[arm]["failure_modes"]) for arm in ARMS))
    table.add_row("memory items", "", "", str(scores.memory_items))
    return table


def _cell(measured: Mapping[str, Any], fold: str = " ") -> str:
    """`.83 [.55, .95] n 12`, with `fold` before the interval; as wide as a column of an 80-column terminal has room."""
    if measured["value"] is None:
        return f"undefined{fold}n {measured['n']}"
    interval = "" if measured["lo"] is None else f"[{_short(measured['lo'])}, {_short(measured['hi'])}] "
    return f"{measured['value']:.3g}{fold}{interval}n {measured['n']}"


def _short(bound: float) -> str:
    """The end of an interval in few characters: `.05`, `4.33`, `15.6`, `137`."""
    text = f"{bound:.{2 if abs(bound) < 9.995 else 1 if abs(bound) < 99.95 else 0}f}"
    return text.replace("0.", ".", 1) if abs(bound) < 0.995 else text


def _recoveries(told: Mapping[str, Any]) -> str:
    share = told["recovery_success"]
    return "none" if share is None else f"{told['recoveries']}, {share:.0%}"


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items())) or "none"
