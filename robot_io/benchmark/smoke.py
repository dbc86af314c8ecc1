"""Did a run do what its method is for? The smoke run asks that of every record; it says nothing about how well."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from robot_io.benchmark.record import RunRecord
from robot_io.benchmark.rounds import REFUSED

Asked = tuple[str, Callable[[RunRecord], bool]]


def _learned(run: RunRecord) -> bool:
    """It was judged on the way after the warm-up and at the end."""
    warm_up = int(run.config["schedule"]["warm_up"])
    return any(row.first_step >= warm_up for row in run.training) and any(trial.test for trial in run.trials)


def _refitted(run: RunRecord) -> bool:
    return any("value" in told for told in run.made["rounds"])


def _foresees(run: RunRecord) -> bool:
    return any("failure" in told for told in run.made["rounds"])


def _recovered(run: RunRecord) -> bool:
    return any(row.recovery_steps for row in run.training)


def _asked(run: RunRecord) -> bool:
    return any("asked" in row.reasons for row in run.training)


LEARNED: Asked = ("train after its warm-up", _learned)
REFITTED: Asked = ("fit a monitor and a recovery", _refitted)
RECOVERED: Asked = ("start a recovery", _recovered)
OWN: Mapping[str, tuple[Asked, ...]] = {
    "bc": (("get judged", lambda run: any(trial.test for trial in run.trials)),),
    "hil_serl": (LEARNED,),
    "hg_dagger": (LEARNED, ("clone anew", lambda run: bool(run.made["clones"]))),
    "hil_serl_farl": (LEARNED, ("fit a predictor and a recovery policy", _foresees), RECOVERED),
    "hil_serl_regrasp": (LEARNED, REFITTED, RECOVERED),
    "random": (LEARNED, REFITTED, RECOVERED),
    "sham": (LEARNED, REFITTED, RECOVERED),
    "oracle": (LEARNED, REFITTED, RECOVERED),
    "no_recovery": (LEARNED, REFITTED, ("ask the person", _asked)),
}


def missing(run: RunRecord) -> str:
    """What of its method's own a run did not do, and why no round was fitted, as a sentence; empty where it did all."""
    lacks = [what for what, done in OWN[run.method] if not done(run)]
    if not lacks:
        return ""
    refused = [f": {told[REFUSED]}" for told in run.made.get("rounds", []) if REFUSED in told]
    return f"{run.task} {run.method} seed {run.seed} did not {' nor '.join(lacks)}" + "".join(refused[:1])
