"""The figure builders: what is drawn is what was given, at the exact step."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import plotly.graph_objects as go
import plotly.io
import polars as pl
import pytest
from app_workspace import STEPS, episode, value_of
from hypothesis import given
from hypothesis import strategies as st

from labeling_app.bands import POINTS, bands_figure, by_outcome, on_common_axis
from labeling_app.evidence import evidence_figure
from labeling_app.figures import curves_figure, pair_figure, signals_figure
from labeling_app.labels import Label
from labeling_app.palette import CURSOR, DRAFT, LINES, MARKS, OTHERS, OUTCOMES, RISK, SCORE, TRIGGER, VALUE
from labeling_app.rows import EXTREMES, WHOLE, points, runs

PLOTLYS_THEME = len(plotly.io.to_json(go.Figure()))


def curve(number: int = 1) -> pl.DataFrame:
    value = value_of(number)
    return pl.DataFrame(
        {
            "episode_id": [f"e{number}"] * STEPS,
            "frame_index": np.arange(STEPS),
            "value": value,
            "value_lo": value - 0.1,
            "value_hi": value + 0.1,
            "success_score": value * 0.9,
            "risk": np.linspace(0, 0.1, STEPS),
        }
    )


def named(figure: go.Figure, name: str) -> go.Scatter:
    (found,) = [trace for trace in figure.data if trace.name == name]
    return found


def traced(figure: go.Figure) -> list[str]:
    return [trace.name for trace in figure.data]


def luminance(colour: str) -> float:
    """Relative luminance of a colour `#rrggbb` (WCAG 2.1)."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return float(np.dot([0.2126, 0.7152, 0.0722], linear))


@pytest.mark.parametrize("page", ["#FFFFFF", "#181816"])
def test_every_line_stands_out_on_the_light_and_on_the_dark_page(page: str) -> None:
    shown = {*LINES, *OTHERS, *OUTCOMES.values(), *MARKS.values(), VALUE, SCORE, RISK, TRIGGER, CURSOR, DRAFT}
    light = {colour: sorted((luminance(colour), luminance(page))) for colour in shown}
    assert {colour for colour, (low, high) in light.items() if (high + 0.05) / (low + 0.05) < 3} == set()


@pytest.mark.parametrize(
    ("key", "first"),
    [
        ("wrench", ["fx", "fy", "fz", "tx", "ty", "tz"]),
        ("time_s", ["time to the next step"]),
        ("third", []),
    ],
)
def test_the_evidence_is_the_array_the_finding_is_about_and_the_velocity(key: str, first: list[str]) -> None:
    figure = evidence_figure(episode(0), key, cursor=3)
    assert traced(figure)[: len(first) + 2] == [*first, "velocity", "smoothed"]


def test_idle_steps_are_shaded_and_an_episode_without_motion_still_has_a_figure() -> None:
    whole = episode(1)
    assert whole.proprio is not None
    still = whole.proprio.copy()
    still[40:60] = still[40]
    idle = [
        shape
        for shape in evidence_figure(replace(whole, proprio=still), "", cursor=0).layout.shapes
        if shape.x0 == 39.5
    ]
    assert [(shape.type, shape.yref) for shape in idle] == [("rect", "y domain")]
    assert traced(evidence_figure(replace(whole, proprio=None), "", cursor=0)) == ["policy", "human"]


@given(st.lists(st.integers(0, 3), min_size=1, max_size=40))
def test_runs_cover_the_steps_once_and_change_value(values: list[int]) -> None:
    found = runs(np.array(values))
    assert [value for value, start, stop in found for _ in range(stop - start)] == values
    assert all(before[2] == after[1] and before[0] != after[0] for before, after in pairwise(found))


def test_curves_are_drawn_step_by_step() -> None:
    figure = curves_figure(curve(), None, cursor=17)
    np.testing.assert_allclose(named(figure, "value V").y, value_of(1), atol=1e-6)
    assert [trace.name for trace in figure.data if trace.name] == ["spread", "value V", "score W", "risk R"]
    (line,) = [shape for shape in figure.layout.shapes if shape.type == "line"]
    assert (line.x0, line.x1) == (17, 17)


def test_strips_have_the_exact_edges() -> None:
    source = np.array([0] * 60 + [2] * 30 + [9] * 10, np.uint8)
    labels = [
        Label(label_id="e1:10-20", episode_id="e1", start=10, stop=20),
        Label(label_id="e1:50-53", episode_id="e1", start=50, stop=53, verdict="reject"),
    ]
    figure = curves_figure(curve(), source, cursor=0, labels=labels, selected="e1:50-53", draft=(49, 55))
    assert (named(figure, "policy").base[0], named(figure, "policy").x[0]) == (-0.5, 60)
    assert (named(figure, "human").base[0], named(figure, "human").x[0]) == (59.5, 30)
    assert (named(figure, "unknown").base[0], named(figure, "unknown").x[0]) == (89.5, 10)
    rejected = named(figure, "rejected")
    assert (rejected.base[0], rejected.x[0], rejected.customdata[0]) == (49.5, 3, "e1:50-53")
    assert rejected.marker.line.width[0] > 0
    assert named(figure, "undecided").marker.line.width[0] == 0
    boxes = [(shape.x0, shape.x1) for shape in figure.layout.shapes if shape.type == "rect"]
    assert boxes == [(48.5, 54.5)] * 2


def test_triggers_are_marked_where_they_fired() -> None:
    fired = np.zeros(STEPS, bool)
    fired[[3, 4, 5, 9]] = True
    early = fired.copy()
    early[:3] = True
    figure = curves_figure(curve(), None, cursor=0, triggers=pl.DataFrame({"trigger": fired, "early_trigger": early}))
    boxes = [(shape.x0, shape.x1) for shape in figure.layout.shapes if shape.type == "rect"]
    assert boxes == [(-0.5, 5.5), (8.5, 9.5), (2.5, 5.5), (8.5, 9.5)]
    assert {"early trigger", "trigger"} <= {trace.name for trace in figure.data}


def test_a_long_episode_stays_small_to_send() -> None:
    steps = 2000
    frame = pl.DataFrame({name: np.random.default_rng(0).random(steps) for name in ("value", "success_score", "risk")})
    frame = frame.with_columns(value_lo=pl.col("value"), value_hi=pl.col("value"))
    figure = curves_figure(frame, np.zeros(steps, np.uint8), cursor=0)
    assert len(plotly.io.to_json(figure, validate=False)) < 100_000


@pytest.mark.parametrize("steps", [WHOLE + 1, 9_973, 100_000])
def test_a_thinned_curve_keeps_its_ends_and_every_extreme(steps: int) -> None:
    values = np.random.default_rng(0).normal(size=steps).cumsum()
    drawn = points(values)
    assert len(drawn["x"]) <= EXTREMES + 2
    assert (np.diff(drawn["x"]) > 0).all()
    assert {0, steps - 1, int(values.argmin()), int(values.argmax())} <= set(drawn["x"].tolist())
    assert np.array_equal(drawn["y"], values.astype(np.float32)[drawn["x"]])


@pytest.mark.parametrize("steps", [1, WHOLE])
def test_a_shorter_curve_is_drawn_whole(steps: int) -> None:
    values = np.random.default_rng(0).normal(size=steps)
    assert np.array_equal(points(values)["y"], values.astype(np.float32))


def test_six_curves_of_a_million_points_are_small() -> None:
    """Of the 100 kB that an interaction may send besides pictures: what stands around the figure takes 17."""
    value = np.random.default_rng(0).random(1_000_000, np.float32)
    names = ("value", "value_lo", "value_hi", "success_score", "risk")
    figure = curves_figure(pl.DataFrame(dict.fromkeys(names, value)), None, cursor=0, others={"another": value})
    assert len(plotly.io.to_json(figure, validate=False)) < 83_000 + PLOTLYS_THEME


def test_signals_show_only_what_the_episode_has() -> None:
    whole = signals_figure(episode(1), cursor=3)
    force = named(whole, "|force|")
    assert force.y[80] == pytest.approx(np.linalg.norm(episode(1).wrench[80, :3]), rel=1e-5)  # type: ignore[index]
    assert {"gripper", "x_m", "y_m", "z_m", "policy", "human"} <= {trace.name for trace in whole.data}
    assert {whole.layout.yaxis.title.text, whole.layout.yaxis2.title.text} == {"|force| N", "gripper"}
    bare = signals_figure(replace(episode(0), wrench=None, proprio=None), cursor=0)
    assert [trace.name for trace in bare.data] == ["policy"]


def test_a_pair_marks_both_steps_and_survives_a_missing_curve() -> None:
    figure = pair_figure(curve(1), curve(0), 60, 72)
    dots = [trace for trace in figure.data if trace.mode == "markers"]
    assert [(dot.x[0], dot.y[0]) for dot in dots] == [(60, value_of(1)[60]), (72, value_of(0)[72])]
    assert len(pair_figure(None, curve(0).clear(), 5, 5).data) == 0


@pytest.mark.parametrize("length", [1, 2, 57, 300])
def test_any_length_fits_the_common_axis(length: int) -> None:
    values = np.linspace(0.2, 0.8, length)
    common = on_common_axis(values)
    assert common.shape == (POINTS,)
    assert (common[0], common[-1]) == pytest.approx((values[0], values[-1]))
    np.testing.assert_allclose(common, np.linspace(values[0], values[-1], POINTS))


def test_bands_separate_the_outcomes() -> None:
    curves = pl.concat([curve(number) for number in range(6)])
    outcomes = {f"e{number}": "failure" if number % 2 else "success" for number in range(5)}
    stacks = by_outcome(curves, outcomes, "value")
    assert {outcome: len(stack) for outcome, stack in stacks.items()} == {"success": 3, "failure": 2, "unknown": 1}
    figure = bands_figure(curves, outcomes)
    np.testing.assert_allclose(named(figure, "success (3)").y, np.median(stacks["success"], axis=0), atol=1e-6)
