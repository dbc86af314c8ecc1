"""The page of the benchmark: Markdown, computed from the record of the runs alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.benchmark_beside import BEYOND, images_part, people_part
from pipelines.benchmark_made import made_part, person_part, tuned_part
from pipelines.markdown import bullets, few, interval, number, rates, table

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
PAPER_SFT = {
    "pick_eggplant": 0.95,
    "tube_insertion": 0.30,
    "ram_insertion": 0.10,
    "wipe_whiteboard": 0.65,
    "fold_towel": 0.7,
}
"""of UniIntervene's table 1: a policy fine-tuned on 20 demonstrations, on the real tasks that these are named after"""


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
        made_part(runs),
        BEYOND,
        "## What was tuned, and on which seeds\n",
        tuned_part(runs),
        "## Limits of the person's model\n",
        person_part(),
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
    claims = [_band(row) for row in found["tasks"] if row["method"] == "bc" and row["sr"] is not None]
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


def _band(row: Mapping[str, Any]) -> str:
    paper = PAPER_SFT[row["task"]]
    return f"a clone of 20 demonstrations of `{row['task']}` near the paper's {paper:.2f}: {interval(row, 'sr')}"


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
