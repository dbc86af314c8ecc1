"""What must hold before anything is built on a stage: pure functions from figures and tables to one line each.

A line that does not pass says what was found, what is asked for, and what to do. Severity `error` blocks.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import polars as pl

from assets.manifest import CheckResult
from audits.database import place_of
from audits.freeze import Freeze
from audits.log import AuditLog
from episodes.errors import IntegrityError
from episodes.record import Outcome
from episodes.workspace import Workspace

if TYPE_CHECKING:
    from models.evaluation import Measured
    from models.memory import RecoveryMemory
    from models.value_gate import GateLine

MAX_LABEL_RATE = 0.30
"""share of the steps of unaided successes that a rule may call stagnation"""
MIN_ALIGNED = 0.50
"""share of takeovers that a stagnation label precedes"""
MIN_TAKEOVERS = 5
"""fewer say nothing about alignment, nor whether the intervention flag is dead"""


def readable(validated: pl.DataFrame) -> CheckResult:
    """At least one episode of the session can be used."""
    broken = validated.filter(pl.col("errors") > 0)
    passed = len(broken) < len(validated)
    sentence = f"{len(validated) - len(broken)} of {len(validated)} episodes can be used"
    if len(broken):
        first = broken.row(0, named=True)
        sentence += f"; {first['episode_id']}: {first['first_defect']}"
    if not passed:
        sentence += "; record or import the session again"
    return CheckResult(name="readable", passed=passed, sentence=sentence, figures={"refused": len(broken)})


def intervention_flag(validated: pl.DataFrame) -> CheckResult:
    """In a session with takeovers some steps are the person's and some are not.

    Our own recorder writes who acts at each step, so there a run that needed nobody is believed.
    """
    takeovers = validated.filter(pl.col("collection") == "takeover")
    steps, human = takeovers["steps"].sum(), takeovers["human_steps"].sum()
    judged = len(takeovers) >= MIN_TAKEOVERS
    dead = judged and (human == steps or (human == 0 and takeovers["imported"].any()))
    who = "never" if human == 0 else "always"
    sentence = (
        f"the person is {who} in control in {len(takeovers)} takeover episodes, so the intervention flag says nothing; "
        "check the teleoperation device, or import with a --mapping that names the flag"
        if dead
        else f"the person drives {human} of {steps} steps of {len(takeovers)} takeover episodes"
    )
    return CheckResult(name="intervention_flag", passed=not dead, sentence=sentence)


def worth_learning_from(quality: pl.DataFrame) -> CheckResult:
    """How many episodes of the session are fit to learn from as they are. Advice: it never stops anything."""
    counts = dict(quality["verdict"].value_counts().iter_rows())
    doubtful = {verdict: counts.get(verdict, 0) for verdict in ("weight", "exclude")}
    passed = not any(doubtful.values())
    sentence = f"{counts.get('keep', 0)} of {len(quality)} episodes are fit to learn from as they are"
    if not passed:
        told = f"{doubtful['weight']} to weigh less, {doubtful['exclude']} to leave out"
        sentence += f"; suggested are {told}: decide on the page Quality (`regrasp app`)"
    name = "worth_learning_from"
    return CheckResult(name=name, passed=passed, severity="warning", sentence=sentence, figures=doubtful)


def no_leakage(split: pl.DataFrame) -> CheckResult:
    """No trajectory is in two splits, under whatever name it was imported."""
    splits = split.group_by("group_id").agg(pl.col("split").n_unique().alias("splits"))
    leaks = splits.filter(pl.col("splits") > 1)
    sentence = f"{len(splits)} trajectories, each in one split"
    if len(leaks):
        sentence = (
            f"{len(leaks)} trajectories are in more than one split, the first is group {leaks['group_id'][0]}; "
            "split.parquet was edited, restore it from a copy"
        )
    return CheckResult(name="no_leakage", passed=leaks.is_empty(), sentence=sentence)


def freeze_stands(name: str, kind: str, made: Freeze | None, workspace: Workspace) -> CheckResult:
    """There is a freeze and the log it came from is whole. Without one: a warning, not a stop."""
    if made is None:
        read = "the outcomes as recorded" if kind == "episodes" else "the labels as mined"
        sentence = f"no {kind} freeze, so training reads {read}; make one with `regrasp audit freeze {kind} NAME`"
        return CheckResult(name=name, passed=False, severity="warning", sentence=sentence)
    try:
        AuditLog(place_of(workspace.audits), create=False).verify(head=(made.head_seq, made.head_hash))
    except IntegrityError as error:
        return CheckResult(name=name, passed=False, sentence=f"freeze {made.name} cannot be trusted: {error}")
    sentence = f"freeze {made.name} with {made.count} decisions, log head {made.head_seq} {made.head_hash[:12]}"
    return CheckResult(name=name, passed=True, sentence=sentence, figures={"freeze": made.name, "count": made.count})


def outcomes_known(success: pl.Series) -> CheckResult:
    """There are outcomes to learn from; where there are none, say where they are given."""
    known = int((success != Outcome.UNKNOWN.value).sum())
    sentence = f"{known} of {len(success)} usable episodes have a known outcome"
    if not known:
        sentence += (
            ", and the value is learned from successes: outcomes are needed; give them on the app's page Episodes "
            "(`regrasp app`) and freeze them with `regrasp audit freeze episodes NAME`"
        )
    return CheckResult(name="outcomes_known", passed=known > 0, sentence=sentence)


def value_calibration(lines: Sequence[GateLine]) -> CheckResult:
    """The value gate, out of fold: each line that does not hold by name, with what to do. Without any success: no."""
    wanting = [f"{_told(line)}, {line.asked} is asked for: {line.remedy}" for line in lines if not line.holds]
    if not any(line.figure.n for line in lines if line.asked):
        wanting.append("no unaided success is there to judge V on; collect some, or give outcomes on the page Episodes")
    gating = [line for line in lines if line.asked and line.figure.n]
    sentence = f"{len(gating)} lines hold out of fold, among them {_told(lines[0])}" if lines else ""
    if wanting:
        sentence = f"the value is not fit to be mined: {'; '.join(wanting)}"
    found = {line.name: None if math.isnan(line.figure.value) else round(line.figure.value, 4) for line in lines}
    return CheckResult(name="calibration", passed=not wanting, sentence=sentence, figures=found)


def gate_json(lines: Sequence[GateLine]) -> list[dict[str, Any]]:
    """The lines for a report: name, figure with interval and n, what is asked for, whether it holds."""
    return [{"name": e.name, **e.figure.json(), "asked": e.asked, "holds": e.holds} for e in lines]


def figures(report: object) -> dict[str, float | int | None]:
    """Every figure of a report of `Measured`, with its n; undefined is None."""
    out: dict[str, float | int | None] = {}
    for name in report.__slots__:  # type: ignore[attr-defined]
        measured: Measured = getattr(report, name)
        out[name.replace("_", " ")] = None if math.isnan(measured.value) else round(measured.value, 4)
        out[f"{name.replace('_', ' ')}, n"] = measured.n
    return out


def _told(line: GateLine) -> str:
    figure = line.figure
    return f"{line.name} {figure.value:.2f} ({figure.lo:.2f} to {figure.hi:.2f}, n {figure.n})"


def label_rates(rates: Mapping[str, float], trained: str = "stagnation") -> CheckResult:
    """The rule that training reads leaves successes alone; what the published rules do is told beside it."""
    passed = not rates[trained] > MAX_LABEL_RATE
    told = ", ".join(f"{rule} {rate:.1%}" for rule, rate in rates.items())
    sentence = f"share of the steps of unaided successes: {told}"
    if not passed:
        remedy = "look at the value curves" if trained == "stagnation" else "set labels.rule to stagnation"
        sentence += f"; {trained} may have {MAX_LABEL_RATE:.0%}, so it says nothing: {remedy}"
    return CheckResult(name="label_rates", passed=passed, sentence=sentence, figures=dict(rates))


def takeover_alignment(aligned: int, takeovers: int) -> CheckResult:
    """People took over where the labels say that the robot was stuck."""
    from models.agreement import ALIGNED_WITHIN_S
    from models.metrics import wilson_interval

    judged = takeovers >= MIN_TAKEOVERS
    low, high = wilson_interval(aligned, takeovers)
    passed = not judged or aligned >= MIN_ALIGNED * takeovers
    sentence = (
        f"{aligned} of {takeovers} takeovers ({low:.2f} to {high:.2f}) come within {ALIGNED_WITHIN_S:g} s of a "
        "stagnation label"
    )
    if not judged:
        sentence += f" (fewer than {MIN_TAKEOVERS} are not judged)"
    if not passed:
        sentence += "; look at the page Trigger labels, the value or the takeovers are wrong"
    figures = {"aligned": aligned, "takeovers": takeovers}
    return CheckResult(name="takeover_alignment", passed=passed, sentence=sentence, figures=figures)


def memory_valid(memory: RecoveryMemory, test: set[str]) -> CheckResult:
    """Something is remembered, no test episode is, and every goal is better than the state it is found from."""
    leaked = sorted({item.episode_id for item in memory.items} & test)
    worse = [item.item_id for item in memory.items if not item.goal_value > item.value]
    sentence = f"{len(memory)} items, each goal better than its start, {len(memory.removed)} taken out by people"
    if not len(memory):
        sentence = "the memory is empty; record takeovers or successes with `regrasp collect`"
    elif leaked:
        sentence = f"test episode {leaked[0]} is remembered; materialize memory/recovery again"
    elif worse:
        sentence = f"{len(worse)} goals are no better than their start, the first is {worse[0]}; look at the value"
    passed = bool(len(memory)) and not leaked and not worse
    figures = {"items": len(memory), "removed": len(memory.removed), "worse": len(worse), "leaked": len(leaked)}
    return CheckResult(name="memory_valid", passed=passed, sentence=sentence, figures=figures)
