"""History features: the stream is the batch form, and no past crosses from one run to the next."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from episodes.record import Array
from models.curve import control_runs
from models.history import FEATURES, HistoryStream, causal_median, history_features

T_MED = 4.0


@st.composite
def runs(draw: st.DrawFn) -> tuple[Array, Array, Array, Array, float]:
    """(values, positions, wrench, source, fps)"""
    steps = draw(st.integers(1, 40))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    source = np.array(draw(st.lists(st.sampled_from([0, 1, 2, 3, 255]), min_size=steps, max_size=steps)), np.uint8)
    if draw(st.booleans()):
        source = np.sort(source)  # long runs
    return (
        random.uniform(0, 1, steps),
        random.normal(0, 0.05, (steps, 3)),
        random.normal(0, 9, (steps, 6)),
        source,
        draw(st.sampled_from([1.0, 5.0, 10.0, 30.0])),
    )


@given(runs())
def test_the_stream_reset_at_every_change_is_the_batch(run: tuple[Array, Array, Array, Array, float]) -> None:
    values, position, wrench, source, fps = run
    batch = history_features(
        values, position, wrench, control_runs(source, length=len(source)), fps=fps, median_duration_s=T_MED
    )
    stream = HistoryStream(fps, T_MED)
    for t in range(len(values)):
        if t and source[t] != source[t - 1]:
            stream.reset()
        seen = stream.update(values[t], position[t], float(np.linalg.norm(wrench[t, :3])))
        np.testing.assert_array_equal(seen, batch[t])


@given(runs())
def test_every_feature_is_what_it_says(run: tuple[Array, Array, Array, Array, float]) -> None:
    """Against the obvious form: each step looks at the slice of its own run."""
    values, position, wrench, source, fps = run
    batch = history_features(
        values, position, wrench, control_runs(source, length=len(source)), fps=fps, median_duration_s=T_MED
    )
    force = np.linalg.norm(wrench[:, :3], axis=1)
    for t in range(len(values)):
        start = t
        while start and source[start - 1] == source[t]:
            start -= 1
        v, p, f = values[start : t + 1], position[start : t + 1], force[start : t + 1]
        back = [min(round(s * fps), t - start) for s in (0.5, 1.0, 2.0)]
        gaps = [min((t - start - risen(v, rise)) / fps / T_MED, 2.0) for rise in (0.03, 0.06)]
        expected = [v[-1], *gaps, *(v[-1] - v[-1 - n] for n in back)]
        expected += [np.linalg.norm(p[-1] - p[-1 - n]) / 0.02 for n in back]
        expected += [f[-1] / 20, f[-round(fps) :].mean() / 20]
        np.testing.assert_allclose(batch[t], expected, rtol=1e-5, atol=1e-6)


def risen(values: Array, rise: float) -> int:
    """The last step that lies more than `rise` above the last one that did."""
    level, at = values[0], 0
    for t, value in enumerate(values):
        if value > level + rise:
            level, at = value, t
    return at


def test_a_stall_of_one_median_duration_reads_1() -> None:
    values = np.concatenate([np.linspace(0, 0.5, 11), np.full(40, 0.5)])
    flat = history_features(values, np.zeros((51, 3)), np.zeros((51, 6)), [(0, 51)], fps=10.0, median_duration_s=T_MED)
    assert flat.shape == (51, FEATURES)
    assert flat[50, 1] == pytest.approx(1.0)


@given(runs())
def test_the_median_looks_at_three_steps_of_its_own_run(run: tuple[Array, Array, Array, Array, float]) -> None:
    values, _, _, source, _ = run
    out = causal_median(values, control_runs(source, length=len(source)))
    for t in range(len(values)):
        seen = [values[t]]
        for back in (t - 1, t - 2):
            if back < 0 or source[back] != source[back + 1]:
                break
            seen.append(values[back])
        assert out[t] == np.median(seen)
