"""Did runs do what their methods are for? The smoke run asks that of every record; it says nothing about how well."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from robot_io.benchmark.record import RunRecord
from robot_io.benchmark.rounds import REFUSED


class Asked(NamedTuple):
    """What a run of a method should have done."""

    what: str
    done: Callable[[RunRecord], bool]
    everywhere: bool = True
    """False for what asks for a robot that gets stuck: on an easy task few episodes have nothing to learn that from"""


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


LEARNED = Asked("train after its warm-up", _learned)
TRIED = Asked("come to a round", lambda run: bool(run.made["rounds"]))
REFITTED = Asked("fit a monitor and a recovery", _refitted, everywhere=False)
RECOVERED = Asked("start a recovery", _recovered, everywhere=False)
OWN: Mapping[str, tuple[Asked, ...]] = {
    "bc": (Asked("get judged", lambda run: any(trial.test for trial in run.trials)),),
    "hil_serl": (LEARNED,),
    "hg_dagger": (LEARNED, Asked("clone anew", lambda run: bool(run.made["clones"]))),
    "hil_serl_farl": (
        LEARNED,
        TRIED,
        Asked("fit a predictor and a recovery policy", _foresees, everywhere=False),
        RECOVERED,
    ),
    "hil_serl_regrasp": (LEARNED, TRIED, REFITTED, RECOVERED),
    "random": (LEARNED, TRIED, REFITTED, RECOVERED),
    "sham": (LEARNED, TRIED, REFITTED, RECOVERED),
    "oracle": (LEARNED, TRIED, REFITTED, RECOVERED),
    "no_recovery": (LEARNED, TRIED, REFITTED, Asked("ask the person", _asked, everywhere=False)),
}


def missing(runs: Sequence[RunRecord]) -> list[str]:
    """What of their methods' own the runs did not do, in sentences: each by itself, or a method in none of its runs."""
    return [sentence for method in dict.fromkeys(run.method for run in runs) for sentence in _of(method, runs)]


def _of(method: str, runs: Sequence[RunRecord]) -> Iterator[str]:
    mine = [run for run in runs if run.method == method]
    for asked in OWN[method]:
        lacking = [run for run in mine if not asked.done(run)]
        if asked.everywhere:
            yield from (f"{run.task} {method} seed {run.seed} did not {asked.what}" for run in lacking)
        elif len(lacking) == len(mine):
            tasks = ", ".join(dict.fromkeys(run.task for run in mine))
            refused = [str(told[REFUSED]) for run in mine for told in run.made["rounds"] if REFUSED in told]
            yield f"{method} did not {asked.what} on {tasks}" + (f": {refused[0]}" if refused else "")
