"""Whether the trigger's promise holds: calibrated on some of the policy's successes, asked on the others, many times.

`ROUNDS` times two thirds of the unaided successes calibrate and the rest, with all failures, are judged. The share of
judged successes that alarm must lie, on average, where the statement puts it: at alpha or below. And once for each
policy version, as it would be met: calibrated on its first episodes alone, asked on those that came later.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from episodes.record import Array
from models.calibration import Calibration, Thresholds
from models.conformal import rate_sd
from models.evaluation import Measured
from models.report_rows import Row
from models.trigger import TriggerConfig
from models.trigger_forms import episodes_needed, form_thresholds, score_of

SECTION, ROUNDS, SHARE = "Trigger", 50, 2 / 3
FIRST = 20
"""episodes of a policy version after which it is calibrated"""


def resampling_rows(
    successes: Sequence[Calibration], failures: Sequence[tuple[Array, Array]], config: TriggerConfig
) -> list[Row]:
    """Alarm rate and balanced accuracy over the rounds; none where a round could not be calibrated.

    `failures`: (CUSUM, probability) of each, (T,).
    """
    count = round(SHARE * len(successes))
    if count < max(1, episodes_needed(config.form, config.alpha)) or count == len(successes):
        return []
    rng, rates, balanced = np.random.default_rng(0), [], []
    for _ in range(ROUNDS):
        order = rng.permutation(len(successes))
        drawn = [successes[i] for i in order[:count]]
        found = form_thresholds(config.form, drawn, alpha=config.alpha, early_alpha=config.early_alpha, tau=config.tau)

        judged = [(run.cusum[run.own], run.probability[run.own]) for run in (successes[i] for i in order[count:])]
        rates.append(float(np.mean([_fires(pair, found, config.form) for pair in judged])))
        if failures:
            flagged = float(np.mean([_fires(pair, found, config.form) for pair in failures]))
            balanced.append((flagged + 1 - rates[-1]) / 2)
    spread = f"statement: at most {config.alpha:g}, standard deviation {rate_sd(config.alpha, count):.2g} a calibration"
    of = f"{ROUNDS} draws: {count} calibrate, {len(successes) - count} are judged"
    return [
        Row(
            section=SECTION, name="alarm: share of successes that alarm", of=of, figure=_mean(rates), comparable=spread
        ),
        Row(section=SECTION, name="alarm: balanced accuracy", of=of, figure=_mean(balanced)),
    ]


def recalibrated_rows(
    runs: Sequence[tuple[Calibration, bool]], policy: str, config: TriggerConfig, *, seen: bool
) -> list[Row]:
    """Alarms of a policy version's later episodes; none where its first ones hold too few successes to calibrate on.

    `runs`: (curves, whether it succeeded) of its unaided episodes, in the order of recording; `seen`: whether the
    models learned from episodes of this version.
    """
    first = [run for run, success in runs[:FIRST] if success]
    later = [(run, success) for run, success in runs[FIRST:]]
    if len(first) < max(1, episodes_needed(config.form, config.alpha)) or not later:
        return []
    found = form_thresholds(config.form, first, alpha=config.alpha, early_alpha=config.early_alpha, tau=config.tau)
    fired = [(_fires((run.cusum, run.probability), found, config.form), success) for run, success in later]
    whose = f"{policy}, {'seen' if seen else 'not seen'} in training"
    of = f"{whose}: its later episodes, calibrated on {len(first)} successes of its first {FIRST}"
    return [
        Row(
            section=SECTION,
            name=f"alarm: share of {kind} that alarm, once recalibrated",
            of=of,
            figure=Measured.share([alarm for alarm, success in fired if success is outcome]),
            comparable=f"statement: at most {config.alpha:g}" if outcome else "",
        )
        for kind, outcome in (("successes", True), ("failures", False))
    ]


def _fires(pair: tuple[Array, Array], found: Thresholds, form: str) -> bool:
    score = score_of(form, pair[0] / found.cusum, pair[1] / found.probability)
    return bool(np.max(score) > found.alarm)


def _mean(values: Sequence[float]) -> Measured:
    """Mean over draws, with the middle 95 % of them."""
    if not values:
        return Measured(value=float("nan"), lo=float("nan"), hi=float("nan"), n=0)
    lo, hi = np.quantile(values, [0.025, 0.975])
    return Measured(value=float(np.mean(values)), lo=float(lo), hi=float(hi), n=len(values))
