"""Two tables of comparison, each figure with its interval: the paper's ablations, and what V is taught.

Heads: every variant of the intervention model is trained on the same labels and folds and judged out of fold. Values:
every objective is trained on the same episodes, once on all and once on the confounded half that a first day brings
(successes are demonstrations, failures the policy's): whoever learned who acted instead of progress shows it there, in
the VOC of the policy's own successes. The values are nets without pictures: the
objectives differ, not the eyes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from episodes.record import Array
from models.dataset import Progress, StepData
from models.evaluation import Measured, auroc_of, final_score
from models.intervention import VARIANTS, InterventionConfig, fit_intervention
from models.metrics import value_order_correlation
from models.report_intervention import q_errors
from models.report_rows import resampled
from models.report_trigger import alarmed, trigger_rows
from models.value import OBJECTIVES, ValueConfig, ValueCurves, ValueModel
from models.value_gate import source_of
from models.value_training import fit_value

PAPER = {
    "full": "Q-loss .004, Int. F1 .882, SR 95 %, IR 11.1 %",
    "no_future": "Q-loss .005, Int. F1 .878, SR 90 %, IR 15.8 %",
    "no_value": "Int. F1 .845, SR 85 %, IR 18.7 %",
    "no_risk": "Q-loss .004, Int. F1 .832, SR 85 %, IR 16.9 %",
}
"""mean of Pick Eggplant and RAM, a real UR7e; F1 against labels mined by the release's rules"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One line of a table."""

    table: str
    variant: str
    figures: Mapping[str, Measured]
    paper: str = ""

    def json(self) -> dict[str, object]:
        """For a file."""
        told = {name: figure.json() for name, figure in self.figures.items()}
        return {"table": self.table, "variant": self.variant, "figures": told, "paper": self.paper}


def compare_heads(
    episodes: Sequence[StepData],
    labels: Mapping[str, Array],
    model: ValueModel,
    config: InterventionConfig,
    *,
    curves: Mapping[str, ValueCurves],
    progress: Progress | None = None,
) -> list[Compared]:
    """Every variant of the intervention model: Q-loss, and F1 of its trigger head above .5 against the labels."""
    learned = [e for e in episodes if e.group_id in model.fold_of and e.episode_id in labels]
    out = []
    for number, variant in enumerate(VARIANTS):
        fitted = fit_intervention(
            learned, labels, model, replace(config, variant=variant), curves=curves, value_hash="compared"
        )
        told = {e.episode_id: fitted.curves(model, e, curves[e.episode_id]) for e in learned}
        alarms = {name: curve.net_probabilities.mean(axis=0) > 0.5 for name, curve in told.items()}
        rows = trigger_rows(alarmed(learned, alarms, labels), "head", "out of fold", truth="labels")
        errors = [q_errors((e, curves[e.episode_id], told[e.episode_id])) for e in learned]
        figures = {
            row.name.removeprefix("head: ").removesuffix(" of steps against labels"): row.figure for row in rows[:3]
        }
        if variant != "no_value":
            figures["Q-loss"] = resampled(errors, lambda parts: float(np.concatenate(parts).mean()))
        out.append(Compared(table="heads", variant=variant, figures=figures, paper=PAPER.get(variant, "")))
        if progress:
            progress("variants of the heads", number + 1, len(VARIANTS))
    return out


def compare_values(
    episodes: Sequence[StepData], config: ValueConfig, *, progress: Progress | None = None
) -> list[Compared]:
    """Every objective, squashed and as published, on all episodes and on the confounded half."""
    known = [e for e in episodes if e.success is not None and e.unaided]
    confounded = [e for e in known if (e.collection == "demo") == bool(e.success)]
    plain = replace(config, cameras=(), workers=1)
    kinds = [(objective, squash) for objective in OBJECTIVES for squash in (True, False)]
    out = []
    for number, (objective, squash) in enumerate(kinds):
        asked = replace(plain, objective=objective, squash=squash)
        for table, used in (("values", known), ("values, confounded", confounded)):
            fitted = fit_value(used, asked)
            curves = {e.episode_id: fitted.curves(e) for e in known}
            variant = objective if squash else f"{objective}, not squashed"
            out.append(Compared(table=table, variant=variant, figures=_value_figures(known, used, curves)))
        if progress:
            progress("objectives of the value", number + 1, len(kinds))
    return out


def _value_figures(
    known: Sequence[StepData], used: Sequence[StepData], curves: Mapping[str, ValueCurves]
) -> dict[str, Measured]:
    """VOC by who succeeded, where V ends, and AUROC as a naive and an honest test see it."""
    successes = [e for e in known if e.success]
    by_source = {kind: [e for e in successes if (source_of(e) == "demo") is kind] for kind in (True, False)}
    policy = [e for e in known if source_of(e) != "demo"]
    return {
        "VOC, demonstrations": _order(by_source[True], curves),
        "VOC, policy's successes": _order(by_source[False], curves),
        "V at the end, policy's successes": Measured.mean(
            [float(curves[e.episode_id].value[-1]) for e in by_source[False]]
        ),
        "AUROC of V, trained on": _auroc(used, curves),
        "AUROC of V, within the policy": _auroc(policy, curves),
        "V above 1": Measured.mean([float((curves[e.episode_id].value > 1).mean()) for e in known]),
    }


def _order(episodes: Sequence[StepData], curves: Mapping[str, ValueCurves]) -> Measured:
    return Measured.mean([value_order_correlation(curves[e.episode_id].value) for e in episodes])


def _auroc(episodes: Sequence[StepData], curves: Mapping[str, ValueCurves]) -> Measured:
    return auroc_of([final_score(curves[e.episode_id].value) for e in episodes], [bool(e.success) for e in episodes])


def as_markdown(compared: Sequence[Compared]) -> str:
    """The tables, `figure (95 % interval)` in each cell."""
    parts = []
    for table in dict.fromkeys(line.table for line in compared):
        lines = [line for line in compared if line.table == table]
        names = list(dict.fromkeys(name for line in lines for name in line.figures))
        published = any(line.paper for line in lines)
        heads = ["variant", *names, *(["published"] if published else [])]
        rows = [
            [line.variant, *(_cell(line.figures.get(name)) for name in names), *([line.paper] if published else [])]
            for line in lines
        ]
        table_lines = [heads, ["---"] * len(heads), *rows]
        parts.append(f"### {table}\n\n" + "\n".join(f"| {' | '.join(cells)} |" for cells in table_lines))
    return "\n\n".join(parts) + "\n"


def _cell(figure: Measured | None) -> str:
    if figure is None or not np.isfinite(figure.value):
        return "–"
    return f"{figure.value:.3g} ({figure.lo:.3g} to {figure.hi:.3g}, n {figure.n})"
