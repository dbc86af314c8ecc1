"""The page of the benchmark: Markdown, computed from the record of the runs alone."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.benchmark_beside import BEYOND, images_part, people_part
from pipelines.markdown import bullets, few, interval, number, rates, table
from robot_io.benchmark.protocol import CONTROLS, METHODS, PREREGISTERED

if TYPE_CHECKING:
    from robot_io.benchmark.record import RunRecord

PAGE = "benchmark.md"
LABELS: Mapping[str, str] = {
    "bc": "clones the demonstrations; no person, no training",
    "hil_serl": "reinforcement learning with demonstrations and a person who corrects",
    "hil_serl_farl": "the same, with a failure-aware recovery policy",
    "hil_serl_regrasp": "the same, with our trigger, memory and recovery, refitted as the run goes on",
    "hg_dagger": "clones demonstrations and rescues anew; no reinforcement learning",
    "random": "recovers at random times, as often as the matching run of `hil_serl_regrasp` did",
    "sham": "our trigger, but the policy drives on while the person's clock is suspended",
    "no_recovery": "our trigger, and the person is asked at once",
    "oracle": "recovers when the simulator itself says that the robot is stuck",
}
IR_RATIO, IR_RATIO_RANDOM, BASELINE_SR = 0.43, 0.75, 0.8
"""what was asked for before anything was run"""


def write_page(docs: Path) -> None:
    """Write the page of the records in `docs/benchmark` into `docs`, whole or not at all; see `recorded_page`."""
    from episodes.workspace import atomic_write

    atomic_write(docs / PAGE, recorded_page(docs).encode())


def recorded_page(docs: Path) -> str:
    """The page of the records in `docs/benchmark`; `DataRefused` where the table's is not there."""
    from robot_io.benchmark.published import RUNS, read_record

    record = docs / "benchmark"
    beside = {path.parent.name: read_record(path.parent) for path in sorted(record.glob(f"*/{RUNS}"))}
    return page(*read_record(record), beside)


def page(
    runs: Sequence[RunRecord],
    crashed: Sequence[Mapping[str, Any]],
    beside: Mapping[str, tuple[Sequence[RunRecord], Sequence[Mapping[str, Any]]]] | None = None,
) -> str:
    """The whole page of the table's runs and of those of the schedules `beside` it; equal runs give equal text."""
    from robot_io.benchmark.summary import summary

    found, beside = summary(runs, crashed), beside or {}
    tasks = [{"task": row["task"], **row} for row in found["tasks"]]
    parts = [
        _HEAD,
        "## What was asked for\n",
        bullets(_claims(found)),
        "## Mean over the rigid tasks\n",
        rates([{"task": f"mean of {len(row['tasks'])}", **row} for row in found["mean"]]),
        bullets(f"`{row['method']}`: mean over {', '.join(row['tasks'])}" for row in found["mean"]),
        "## Each task\n",
        rates(tasks),
        "## What a method saves\n",
        _SAVES,
        _savings(found["comparisons"]),
        "## Who drove, and what it cost\n",
        _shares(tasks),
        "## Why the person took over, and how episodes failed\n",
        _counts(tasks),
        _lost(tasks),
        *images_part(beside.get("images")),
        *people_part(runs, beside),
        "## Runs that crashed\n",
        bullets(f"{c['task']} {c['method']} seed {c['seed']}: {c['error']}" for c in crashed) or "None.\n",
        "## How it was made\n",
        _made(runs),
        BEYOND,
        "## What was tuned, and on which seeds\n",
        _tuned(runs),
        "## Limits of the person's model\n",
        _person(),
        "## Methods\n",
        bullets(f"`{name}`: {LABELS[name]}" for name in dict.fromkeys(row["method"] for row in tasks)),
    ]
    return "\n".join(parts)


_HEAD = """\
# The benchmark

Five simulated tasks with contact, one scripted person who is the same for all methods, and what each method reaches.
Every figure here is computed from the record in `docs/benchmark/`; this page is written by
`regrasp benchmark table --write-docs docs` and never by hand.

```sh
regrasp benchmark table
regrasp benchmark table --json
```

SR: share of the last trials, the policy alone on test resets, that succeeded. IR: the person's share of all steps of
training, demonstrations excluded; *online*: after the warm-up. In brackets 95 % intervals of a bootstrap over runs
(seeds), then episodes within each; with few seeds they are rough. n: trials for SR, steps for IR.
"""
_SAVES = """\
Ratio of the mean intervention rates and difference of the success rates, over the rigid tasks that both ran; the
trials are paired reset by reset.
"""


_LOST = """\
Where the saving is lost: what the robot had made of the trouble before each of these takeovers. *Unnoticed*: no
trigger; *unanswered*: a trigger, and no recovery; *in recovery*: one was at work and was cut short, by the person or by
a force; *after recovery*: one had handed back to the policy less than {since_s:g} s before.
"""


def _claims(found: Mapping[str, Any]) -> list[str]:
    """What was asked for, the figure, and whether it is met."""
    means = {row["method"]: row for row in found["mean"]}
    pairs = {(row["method"], row["against"]): row for row in found["comparisons"]}
    claims = []
    if (row := means.get("hil_serl")) is not None and row["sr"] is not None:
        claims.append(_claim("the baseline `hil_serl` reaches an SR", row, "sr", ">=", BASELINE_SR))
    for against, bound in (("hil_serl", IR_RATIO), ("random", IR_RATIO_RANDOM)):
        row = pairs.get(("hil_serl_regrasp", against))
        if row is not None and row["ir_ratio"] is not None:
            told = f"IR of `hil_serl_regrasp` over IR of `{against}`"
            claims.append(_claim(told, row, "ir_ratio", "<=", bound))
    if (row := pairs.get(("hil_serl_regrasp", "hil_serl"))) is not None and row["sr_difference"] is not None:
        bound = 0.05 if means["hil_serl"]["sr"] <= 0.9 else -0.02
        claims.append(_claim("SR of `hil_serl_regrasp` minus SR of `hil_serl`", row, "sr_difference", ">=", bound))
    return claims or ["Nothing of what the claims are about has been run."]


def _claim(told: str, row: Mapping[str, Any], name: str, sign: str, bound: float) -> str:
    met = row[name] >= bound if sign == ">=" else row[name] <= bound
    return f"{told} {sign} {bound:g}: {interval(row, name)}, **{'met' if met else 'not met'}**"


def _savings(rows: Sequence[Mapping[str, Any]]) -> str:
    if not rows:
        return "No two methods ran the same task.\n"
    cells = (
        (
            f"`{row['method']}`",
            f"`{row['against']}`",
            len(row["tasks"]),
            interval(row, "ir_ratio"),
            interval(row, "sr_difference"),
        )
        for row in rows
    )
    return table(("method", "against", "tasks", "IR ratio", "SR difference"), cells)


def _shares(rows: Sequence[Mapping[str, Any]]) -> str:
    head = ("task", "method", "policy", "recovery", "SR with the person", "human steps an episode")
    names = ("policy_share", "recovery_share", "training_sr", "human_steps_per_episode", "human_s_per_success")
    more = ("human s a success", "triggers", "recoveries", "of these better")
    counts = ("triggers", "recoveries", "recoveries_better")
    cells = (
        (row["task"], f"`{row['method']}`", *(number(row[n]) for n in names), *(row[n] for n in counts))
        for row in rows
        if row["episodes"]
    )
    return table((*head, *more), cells)


def _counts(rows: Sequence[Mapping[str, Any]]) -> str:
    head = ("task", "method", "takeovers", "failures with the person", "failures of the last trials")
    names = ("takeovers", "training_failure_modes", "failure_modes")
    return table(head, ((row["task"], f"`{row['method']}`", *(few(row[n]) for n in names)) for row in rows))


def _lost(rows: Sequence[Mapping[str, Any]]) -> str:
    """Of the methods that trigger."""
    from robot_io.benchmark.noting import SINCE
    from robot_io.benchmark.record import BEFORE
    from robot_io.sim.arm import FPS_HZ

    told = [row for row in rows if row["triggers"]]
    cells = ((row["task"], f"`{row['method']}`", *(row["takeovers_before"].get(b, 0) for b in BEFORE)) for row in told)
    counted = table(("task", "method", *BEFORE), cells) if told else "No method that triggers has been run.\n"
    return f"{_LOST.format(since_s=SINCE / FPS_HZ)}\n{counted}"


def _made(runs: Sequence[RunRecord]) -> str:
    """Command, versions, schedules, time, and where the rest stands."""
    versions = {name: sorted({run.versions[name] for run in runs}) for name in sorted(runs[0].versions)}
    schedules: dict[str, list[str]] = {}
    for run in runs:
        told = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in sorted(run.config["schedule"].items()))
        schedules.setdefault(told, [])
        if run.task not in schedules[told]:
            schedules[told].append(run.task)
    return "\n".join(
        [
            "```text",
            *_commands(runs),
            "regrasp benchmark table --write-docs docs",
            "```\n",
            "Every run is resumable and each may be made on another machine. Together they took "
            f"{sum(run.seconds for run in runs) / 3600:.1f} hours of one core, evaluation included. The settings of "
            "every run, and every episode and trial, stand in `docs/benchmark/`.\n",
            table(("what", "version"), ((name, ", ".join(found)) for name, found in versions.items())),
            bullets(f"{', '.join(tasks)}: {told}" for told, tasks in schedules.items()),
        ]
    )


def _commands(runs: Sequence[RunRecord]) -> list[str]:
    """One for each set of methods that ran the same tasks with the same seeds."""
    ran: dict[str, tuple[tuple[str, ...], tuple[int, ...]]] = {}
    for method in dict.fromkeys(run.method for run in runs):
        mine = [run for run in runs if run.method == method]
        ran[method] = tuple(sorted({r.task for r in mine})), tuple(sorted({r.seed for r in mine}))
    groups: dict[tuple[tuple[str, ...], tuple[int, ...]], list[str]] = {}
    for method in sorted(ran, key=[*METHODS, *CONTROLS, *sorted(ran)].index):
        groups.setdefault(ran[method], []).append(method)
    return [
        f"regrasp benchmark run --tasks {' '.join(tasks)} --methods {' '.join(methods)} --seeds "
        + " ".join(map(str, seeds))
        for (tasks, seeds), methods in groups.items()
    ]


def _tuned(runs: Sequence[RunRecord]) -> str:
    """Which seeds are whose, and what the protocol's version stands for."""
    schedules = [run.config["schedule"] for run in runs]
    tests = sorted({f"{s['test_seed']} to {s['test_seed'] + s['test_episodes'] - 1}" for s in schedules})
    way = sorted(
        {f"{s['evaluation_seed']} to {s['evaluation_seed'] + s['evaluation_episodes'] - 1}" for s in schedules}
    )
    seeds = ", ".join(str(seed) for seed in sorted({run.seed for run in runs}))
    protocols = sorted({run.versions.get("protocol", "unknown") for run in runs})
    parts = [json.dumps(dict(PREREGISTERED[p]), sort_keys=True) for p in protocols if p in PREREGISTERED]
    return _TUNED.format(tests=", ".join(tests), way=", ".join(way), seeds=seeds) + "\n".join(
        [f"\nProtocol {', '.join(protocols)}, the digests of its parts:\n", "```json", *parts, "```\n"]
    )


_TUNED = """\
- Nothing was tuned on the test resets, {tests}: only the last evaluation of a run sees them.
- Difficulty (randomisation, clearances, push and time limits) was tuned with cloned policies, and the person with the
  experts and clones it rescues; both are then fixed by the version below.
- The learner's settings come from trials on tube and memory module with run seeds 0 and 1 in an earlier form of the
  world; its baseline is therefore not blind on these two tasks and seeds (run seeds here: {seeds}).
- Protocol 2 differs from 1, which no table was made of: the push and the time limit of the memory module were set on
  run seeds 101 to 103, so that most takeovers of a cloned policy are stalls and no rescue is late.
- Protocol 3 differs from 2 in a tracker that is 1 mm off in tube insertion and memory module. Protocol 4 takes that
  back: the person never had that error, so its rescues showed a policy, and a recovery cloned from them, what no robot
  there can see. Two seeds were run under 3 (12,000 steps, the person's share of all steps, seeds 0 and 1): tube
  insertion 6.6 and 5.3 % with `hil_serl`, 7.7 and 6.4 % with `hil_serl_regrasp`; memory module 11.1 and 8.8 %, 12.9
  and 8.4 %. Under 4, clones of run seeds 101 to 104 solve .25, .30, .65 and .48 of the tube's resets.
- How `hil_serl_regrasp` recovers (when it is fitted anew, how much it regains before it hands back, that a chunk is
  planned anew every two steps, that the early alarm is calibrated before a success's first stall) was chosen on run
  seeds 102 and 103 of the tube and 102 of the memory module.
- The evaluations on the way, resets {way}, draw the curves and choose nothing: every run is judged by the
  policy that it ends with.
"""


def _person() -> str:
    """What the scripted person is and is not; the numbers are those of its code."""
    from robot_io.sim import human
    from robot_io.sim.arm import FPS_HZ
    from robot_io.sim.stall import HELP_STEPS

    return _PERSON.format(
        window_s=HELP_STEPS / FPS_HZ,
        force_n=human.FORCE_LIMIT_N,
        attention=human.ATTENTION,
        delay_s=human.DELAY_MEDIAN_S,
        suspended_s=human.SUSPENDED_STEPS / FPS_HZ,
        speed=human.SPEED,
        longest_s=human.MAX_STEPS / FPS_HZ,
        wrong=human.WRONG_MOVE,
    )


_PERSON = """\
- It is a program, the same for all methods, and knows neither the method nor its models. It knows the state of the
  simulation exactly: it never misjudges what it sees.
- It acts on four signs only: no progress for {window_s:g} s, more than {force_n:g} N, the wall of the workspace,
  a dropped object. A person also foresees, and helps before anything shows.
- It sees a sign with probability {attention:g}, reacts after {delay_s:g} s (median), drives at {speed:.0%} of full
  speed with an unsteady hand, begins with a wrong move in {wrong:.0%} of the takeovers, and drives at most
  {longest_s:g} s. It does not tire, learn, or lose patience.
- A recovery suspends its clock for {suspended_s:g} s. That alone saves steps, whatever the recovery does: the
  control `sham` measures how many.
"""
