"""The published rules against their loops written out, with their known behaviour as golden cases; then ours."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from episodes.errors import DataRefused, UsageError
from models.mining import (
    BLOCK,
    StagnationParams,
    ThreeRuleParams,
    mine_seed_rule,
    mine_stagnation,
    mine_three_rules,
)

# steps of 0.005 and of a hundredth put sums and ranges exactly on the rules' thresholds
GRID = st.integers(-40, 40).map(lambda i: i * 0.005)
VALUES = st.one_of(st.floats(-2, 3), GRID)
CURVES = st.lists(VALUES, min_size=1, max_size=50)


def seed_loop(values, k=8, eps=0.005):
    labels = [False] * len(values)
    for t in range(k, len(values)):
        window = values[t - k : t + 1]
        deltas = [window[i] - window[i - 1] for i in range(1, len(window))]
        shortfall = 0.0
        for d in deltas:
            shortfall = shortfall + max(0.0, eps - d)
        plateau = max(window) - min(window) < 0.03
        decline = sum(d < 0 for d in deltas) >= k // 2
        labels[t] = shortfall > 0.04 and (plateau or decline)
    return labels


@given(CURVES, st.integers(1, 12), st.sampled_from([0.005, 0.0, 0.02]))
def test_seed_rule_is_the_loop(values, k, epsilon):
    assert mine_seed_rule(values, k, epsilon).tolist() == seed_loop(values, k, epsilon)


@given(st.lists(GRID, min_size=1, max_size=60))
def test_seed_rule_is_the_loop_on_its_own_boundaries(values):
    assert mine_seed_rule(values).tolist() == seed_loop(values)


def test_seed_rule_never_fires_on_a_constant_curve():
    assert not mine_seed_rule(np.full(1000, 0.37)).any()
    assert mine_seed_rule(np.full(1000, 0.37), epsilon=0.00501)[8:].all()


def test_seed_rule_sums_every_window_anew():
    """A running total of 0.005 drifts off the exact 0.04 and labels flat windows that the loop does not."""
    flat = np.full(1000, 0.5)
    running = np.cumsum(np.maximum(0.005 - np.diff(flat), 0))
    assert (running[8:] - running[:-8] > 0.04).any()
    assert not mine_seed_rule(flat).any()


def test_seed_rule_across_blocks():
    rng = np.random.default_rng(1)
    values = np.cumsum(rng.normal(0.003, 0.004, BLOCK + 500))
    labels = mine_seed_rule(values)
    assert labels.tolist() == seed_loop(values.tolist())
    assert 0 < labels.mean() < 1


def test_seed_rule_reads_no_episode_but_its_own():
    first, second = np.full(50, 0.2), np.full(50, 0.199)
    apart = np.concatenate([mine_seed_rule(first), mine_seed_rule(second)])
    together = mine_seed_rule(np.concatenate([first, second]))
    assert not apart.any()
    assert together[50:58].any()


def release_loop(raw, p):
    """The three rules as the release runs them, one step at a time."""
    raw = np.asarray(raw, dtype=np.float32)
    low, high = float(raw.min()), float(raw.max())
    values = np.zeros_like(raw) if high - low < 1e-8 else ((raw - low) / (high - low)).astype(np.float32)
    rows = []
    for t in range(len(values)):
        segment = values[max(0, t - p.window + 1) : t + 1]
        if len(segment) < 2:
            rows.append((False, False, False))
            continue
        slope = float(np.polyfit(np.arange(len(segment), dtype=np.float32), segment, deg=1)[0])
        down = float((np.diff(segment) < 0).mean())
        decline = not (slope > p.slope or float(segment[0] - segment[-1]) < p.decline or down < p.down_share)
        wide = segment.astype(np.float64)
        diffs = np.diff(wide)
        flat = float((np.abs(diffs) <= p.flat_step).mean())
        plateau = flat >= p.flat_share and float(wide.max() - wide.min()) <= p.flat_step * p.flat_range_steps
        abrupt = False
        big = np.where(diffs <= -p.drop)[0]
        if big.size and int(big[np.argmin(diffs[big])]) == len(diffs) - 1:
            future = values[t + 1 : t + 1 + p.regain_steps].astype(np.float64)
            level = float(wide[-1] + p.regain_share * float(wide[-2] - wide[-1]))
            abrupt = not bool(np.any(future >= level))
        rows.append((decline, plateau, abrupt))
    return np.array(rows, dtype=bool)


@given(CURVES, st.integers(2, 10), st.integers(0, 4))
def test_three_rules_are_the_release(values, window, regain_steps):
    params = ThreeRuleParams(window=window, regain_steps=regain_steps)
    made = mine_three_rules(values, params)
    expected = release_loop(values, params)
    np.testing.assert_array_equal(np.stack([made.decline, made.plateau, made.abrupt_drop], 1), expected)
    np.testing.assert_array_equal(made.label, expected.any(axis=1))


@given(st.lists(st.integers(0, 100).map(lambda i: i / 100), min_size=2, max_size=40))
def test_three_rules_are_the_release_on_their_own_boundaries(values):
    values = [0.0, *values, 1.0]  # the min-max leaves hundredths as they are
    made = mine_three_rules(values)
    expected = release_loop(values, ThreeRuleParams())
    np.testing.assert_array_equal(np.stack([made.decline, made.plateau, made.abrupt_drop], 1), expected)


@pytest.mark.parametrize(("length", "share"), [(59, 6 / 59), (60, 59 / 60), (120, 119 / 120)])
def test_plateau_rule_saturates_on_clean_successes_of_sixty_steps(length, share):
    labels = mine_three_rules(np.linspace(0, 1, length))
    assert labels.plateau.mean() == pytest.approx(share)
    assert not (labels.decline | labels.abrupt_drop).any()


def test_slope_on_the_threshold_is_left_to_polyfit():
    values = np.concatenate([[1.0, 0.0], 0.5 - 0.01 * np.arange(30)])
    np.testing.assert_array_equal(mine_three_rules(values).decline, release_loop(values, ThreeRuleParams())[:, 0])


def test_abrupt_drop_marks_the_bottom_unless_it_heals():
    rising = np.linspace(0, 1, 20)
    broken = np.concatenate([rising, rising[-1] - np.full(6, 0.5)])
    assert np.flatnonzero(mine_three_rules(broken).abrupt_drop).tolist() == [20]
    healed = broken.copy()
    healed[22:] = 0.95
    assert not mine_three_rules(healed).abrupt_drop.any()
    assert mine_three_rules(broken[:21]).abrupt_drop[20]


def test_constant_and_one_step_curves():
    flat = mine_three_rules([0.4] * 12)
    assert flat.plateau.tolist() == [False] + [True] * 11
    assert not mine_three_rules([0.4]).label.any()
    assert mine_seed_rule([0.4]).tolist() == [False]


@pytest.mark.parametrize("mine", [mine_three_rules, mine_seed_rule])
@pytest.mark.parametrize("bad", [[], [0.1, np.nan], [np.inf] * 20])
def test_curves_that_are_none_are_refused(mine, bad):
    with pytest.raises(DataRefused):
        mine(bad)


def test_settings_that_cannot_be_right_are_refused():
    with pytest.raises(UsageError):
        ThreeRuleParams(window=1)
    with pytest.raises(UsageError):
        mine_seed_rule([0.1], k=0)


TASK = StagnationParams(median_duration_s=6.0)
CAUSAL = StagnationParams(median_duration_s=6.0, causal=True)


def ramp_and_jam(fps=10, stop_at=0.6, jam_s=5.0, creep=0.0):
    """Nominal progress for stop_at of the task, a jam that goes on at a share `creep` of it, then nominal progress."""
    pace = 1 / (6 * fps)
    up = np.arange(0, stop_at, pace)
    jam = stop_at + creep * pace * np.arange(round(jam_s * fps))
    values = np.concatenate([up, jam, np.arange(jam[-1], 1, pace)])
    return values, np.arange(len(values)) / fps, len(up)


def slow_labels(values, time, params):
    """The state machine of the docstring, each term from its definition at each step of one run."""
    v = (np.asarray(values) - params.value_low) / (params.value_high - params.value_low)
    speed, labels, is_open, first = 1 / params.median_duration_s, [False] * len(v), False, 0
    for i in range(len(v)):
        window = [j for j in range(i + 1) if time[j] >= time[i] - params.window / speed - 1e-9]
        slope = np.polyfit(time[window], v[window], 1)[0] if len(window) > 1 else np.nan
        if is_open and slope >= params.resume * speed:
            is_open, first = False, i
        lead = [v[j] - params.slow * speed * time[j] for j in range(first, i + 1)]
        peak = first + lead.index(max(lead))
        fell = v[first : i + 1].max() - v[i] >= params.drop and slope <= -params.slow * speed
        waited = time[i] - time[peak] >= params.patience / speed - 1e-9 and slope <= params.slow * speed
        is_open = is_open or bool(fell or waited)
        labels[i] = is_open
    return labels


@given(st.lists(st.integers(-20, 30), min_size=1, max_size=60), st.integers(1, 20))
def test_causal_stagnation_is_its_definition(steps, median_s):
    values = np.cumsum(steps) / 317.0  # off every threshold, where two ways to fit a slope may differ in the last bit
    time = np.arange(len(values)) * 0.1
    params = StagnationParams(median_duration_s=median_s + 0.05, causal=True)
    assert mine_stagnation(values, time_s=time, params=params).label.tolist() == slow_labels(values, time, params)


@given(st.lists(st.tuples(st.floats(-0.1, 0.15), st.sampled_from([0, 0, 0, 1, 2, 3, 255])), min_size=1, max_size=80))
def test_each_stretch_of_control_is_mined_alone(steps):
    values = np.cumsum([gain for gain, _ in steps])
    source, time = np.array([code for _, code in steps]), np.arange(len(steps)) * 0.1
    together = mine_stagnation(values, time_s=time, source=source, params=TASK)
    start = 0
    for stop in range(1, len(steps) + 1):
        if stop < len(steps) and source[stop] == source[start]:
            continue
        run = slice(start, stop)
        alone = mine_stagnation(values[run], time_s=time[run], params=TASK)
        robot = source[start] not in (2, 3)
        assert together.label[run].tolist() == (alone.label & robot).tolist()
        for name, term in alone.terms.items():
            np.testing.assert_allclose(together.terms[name][run], term, atol=1e-9)
        start = stop


@given(st.lists(st.floats(-0.1, 0.15), min_size=1, max_size=80), st.booleans())
def test_labels_are_their_segments_and_segments_show_what_passed(gains, causal):
    values, time = np.cumsum(gains), np.arange(len(gains)) * 0.1
    made = mine_stagnation(values, time_s=time, params=CAUSAL if causal else TASK)
    covered = np.zeros(len(values), bool)
    for s in made.segments:
        assert 0 <= s.start <= s.detected < s.stop <= len(values)
        assert not covered[s.start : s.stop].any()
        covered[s.start : s.stop] = True
        if s.rule == "plateau":
            assert s.terms["gap_s"] >= s.terms["gap_threshold_s"] - 1e-9
        else:
            assert s.terms["drop"] >= s.terms["drop_threshold"]
        assert s.terms["slope_per_s"] <= s.terms["slope_threshold_per_s"]
        assert s.terms["gap_s"] == made.terms["gap_s"][s.detected]
    assert made.label.tolist() == covered.tolist()


@given(st.lists(st.floats(-0.1, 0.15), min_size=2, max_size=60), st.integers(1, 59))
def test_causal_labels_do_not_change_when_the_future_arrives(gains, seen):
    values, time = np.cumsum(gains), np.arange(len(gains)) * 0.1
    whole = mine_stagnation(values, time_s=time, params=CAUSAL).label
    part = mine_stagnation(values[:seen], time_s=time[:seen], params=CAUSAL).label
    assert whole[:seen].tolist() == part.tolist()


@pytest.mark.parametrize("creep", [0.0, 0.2])
@pytest.mark.parametrize("fps", [5, 10, 20, 50])
def test_a_jam_is_found_at_every_rate_and_clean_progress_is_not(fps, creep):
    values, time, jam = ramp_and_jam(fps, creep=creep)
    found = mine_stagnation(values, time_s=time, params=TASK)
    assert len(found.segments) == 1
    (stall,) = found.segments
    step_s = 1 / fps + 1e-9
    assert abs(time[stall.start] - time[jam]) <= step_s
    assert abs(time[stall.detected] - time[jam] - TASK.patience * 6) <= step_s
    assert 0 <= time[stall.stop] - time[jam] - 5.0 <= 1.5
    clean = np.linspace(0, 1, 6 * fps)
    assert not mine_stagnation(clean, time_s=np.arange(len(clean)) / fps, params=TASK).label.any()


def test_long_clean_success_of_a_long_task_is_clean():
    """Where the release's plateau rule labels 99 %."""
    clean, time = np.linspace(0, 1, 600), np.arange(600) * 0.1
    assert not mine_stagnation(clean, time_s=time, params=StagnationParams(median_duration_s=60.0)).label.any()


def test_flat_failure_is_stuck_however_small_its_own_range():
    """Where the release's min-max blows noise up to full range and sees nothing."""
    values = 0.5 + np.random.default_rng(0).normal(0, 0.005, 120)
    made = mine_stagnation(values, time_s=np.arange(120) * 0.1, params=TASK)
    assert made.label.mean() > 0.9


def test_a_fall_is_a_decline_and_the_climb_back_is_not():
    values = np.concatenate([np.linspace(0, 0.7, 42), np.linspace(0.7, 0.3, 4), np.linspace(0.3, 1, 42)])
    made = mine_stagnation(values, time_s=np.arange(len(values)) * 0.1, params=TASK)
    assert [s.rule for s in made.segments] == ["decline"]
    assert made.segments[0].start in (42, 43)
    assert made.segments[0].stop <= 46 + 18  # a window after the bottom, the slope knows nothing but the climb


def test_noise_does_not_cut_one_stall_in_two():
    values, time, _ = ramp_and_jam(jam_s=8.0)
    noisy = values + np.random.default_rng(2).normal(0, 0.006, len(values))
    assert len(mine_stagnation(noisy, time_s=time, params=TASK).segments) == 1


def test_no_label_while_a_person_drives_and_patience_starts_anew_after():
    time = np.arange(100) * 0.1
    source = np.repeat([0, 2, 0], [10, 80, 10])
    assert not mine_stagnation(np.full(100, 0.5), time_s=time, source=source, params=TASK).label.any()


def test_no_stall_is_made_of_a_pause_in_the_recording():
    time = np.concatenate([np.arange(15) * 0.1, 60 + np.arange(15) * 0.1])
    assert not mine_stagnation(np.full(30, 0.5), time_s=time, params=TASK).label.any()


def test_values_are_read_in_the_tasks_range():
    values, time, _ = ramp_and_jam()
    squeezed = StagnationParams(median_duration_s=6.0, value_low=0.2, value_high=0.4)
    expected = mine_stagnation(values, time_s=time, params=TASK)
    assert mine_stagnation(0.2 + 0.2 * values, time_s=time, params=squeezed).label.tolist() == expected.label.tolist()


def test_params_come_from_training_successes():
    curves = [np.linspace(0.1, 0.9, n) for n in (500, 600, 700)]
    params = StagnationParams.fit(curves, [5.0, 6.0, 9.0], patience=0.3)
    assert (params.median_duration_s, params.patience) == (6.0, 0.3)
    assert (params.value_low, params.value_high) == pytest.approx((0.108, 0.892), abs=2e-3)
    with pytest.raises(DataRefused, match="constant"):
        StagnationParams.fit([[0.5] * 10], [1.0])
    with pytest.raises(DataRefused, match="collect"):
        StagnationParams.fit([], [])


def test_one_step_and_constant_curves_are_mined():
    assert mine_stagnation([0.3], time_s=[0.0], params=TASK).label.tolist() == [False]
    made = mine_stagnation(np.full(60, 0.3), time_s=np.arange(60) * 0.1, params=CAUSAL)
    assert np.flatnonzero(made.label)[0] == 15


@pytest.mark.parametrize(
    ("values", "time_s", "source"),
    [
        ([0.1, np.nan], [0, 1], None),
        ([0.1, np.inf], [0, 1], None),
        ([0.1, 0.2], [0, 0], None),
        ([0.1, 0.2], [0, 1, 2], None),
        ([0.1, 0.2], [0, 1], [0]),
        ([0.1, 0.2], [0, 1], [0, 9]),
        ([], [], None),
    ],
)
def test_data_that_cannot_be_mined_is_refused(values, time_s, source):
    with pytest.raises(DataRefused):
        mine_stagnation(values, time_s=time_s, source=source, params=TASK)


@pytest.mark.parametrize("wrong", [{"median_duration_s": 0}, {"slow": 0.6}, {"patience": np.nan}, {"drop": -1}])
def test_params_that_cannot_be_right_are_refused(wrong):
    with pytest.raises(UsageError):
        StagnationParams(**{"median_duration_s": 6.0, **wrong})
