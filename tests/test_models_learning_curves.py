"""Learning curves against what the rows say by hand."""

from __future__ import annotations

import polars as pl
import pytest

from models.learning_curves import intervention_curve, success_curve

NAME = {"task": "tube_insertion", "method": "hil_serl", "seed": 0}


def test_success_is_the_share_of_each_evaluation_on_the_way() -> None:
    rows = [
        NAME | {"step": step, "test": test, "success": won}
        for step, test, won in [(0, False, False), (0, False, True), (500, False, True), (500, True, False)]
    ]
    rows.append(NAME | {"seed": 1, "step": 0, "test": False, "success": True})
    curve = success_curve(pl.DataFrame(rows))
    assert curve.select("seed", "step", "sr", "n").rows() == [(0, 0, 0.5, 2), (0, 500, 1.0, 1), (1, 0, 1.0, 1)]


def test_interventions_are_counted_by_window_and_the_last_ends_with_the_run() -> None:
    spans = [(0, 60, 30), (60, 60, 0), (120, 50, 10), (170, 20, 20)]
    rows = [NAME | {"first_step": first, "steps": steps, "human_steps": human} for first, steps, human in spans]
    curve = intervention_curve(pl.DataFrame(rows), 100)
    assert curve["step"].to_list() == [100, 190]
    assert curve["ir"].to_list() == pytest.approx([30 / 120, 30 / 70])
