"""Recovery pairs: what qualifies, how they are spread, and that too few is a report."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from episodes.errors import DataRefused, UsageError
from models.pairs import Pair, choose_pairs, mine_pairs

STEPS = st.lists(st.tuples(st.floats(0, 1), st.sampled_from([0, 0, 0, 2, 3])), min_size=1, max_size=50)


def mined(values, source=None, *, span_s=3.2, gain=0.4, end_value=0.75, horizon=8):
    time = np.arange(len(values)) * 0.1
    return mine_pairs(values, source, time_s=time, span_s=span_s, gain=gain, end_value=end_value, horizon=horizon)


@given(STEPS, st.integers(1, 10), st.integers(1, 30))
def test_every_start_has_the_best_goal_it_may_have(steps, horizon, span):
    values, source = [v for v, _ in steps], [s for _, s in steps]
    expected = []
    for t in range(len(values)):
        stop = next((j for j in range(t, len(values)) if source[j] != source[t]), len(values))
        goals = range(t + horizon, min(stop, t + span + 1))
        best = max(goals, key=lambda g: (values[g], -g), default=None)
        if source[t] != 3 and best is not None and values[best] - values[t] >= 0.4 and values[best] >= 0.75:
            expected.append((t, best))
    found = mined(values, source, span_s=span * 0.1 + 0.05, horizon=horizon)
    assert [(p.t, p.goal_t) for p in found] == expected


def test_pairs_do_not_cross_a_hand_over_or_a_pause():
    values = np.concatenate([np.full(20, 0.2), np.full(20, 0.9)])
    assert mined(values)
    assert not mined(values, np.repeat([0, 2], 20))
    time = np.arange(40) * 0.1 + np.repeat([0, 1], 20)
    assert not mine_pairs(values, time_s=time, span_s=9, gain=0.4, end_value=0.75)


def test_what_a_person_did_counts_and_a_hold_does_not():
    values = np.linspace(0.2, 1, 30)
    assert mined(values, np.full(30, 2))
    assert not mined(values, np.full(30, 3))


def test_constant_and_one_step_episodes_have_none():
    assert mined([0.9] * 40) == []
    assert mined([0.9]) == []


def spread_over(episodes, starts):
    return {
        f"e{i:02d}": [Pair(8 * j, 8 * j + 20, v, v + 0.4, 2.0) for j, v in enumerate(starts)] for i in range(episodes)
    }


def test_choice_fills_the_bins_evenly_before_the_rest():
    chosen = choose_pairs(spread_over(20, [0.05, 0.15, 0.25, 0.35]), count=40, bins=10, per_episode=4)
    assert len(chosen.pairs) == 40
    assert min(chosen.per_bin[:4]) >= 4
    assert sum(chosen.per_bin) == 40
    assert "40 of 40" in chosen.report()


def test_too_few_candidates_are_a_report_not_a_crash():
    chosen = choose_pairs(spread_over(3, [0.1, 0.2]), count=120)
    assert len(chosen.pairs) == 6
    assert "6 of 120" in chosen.report()
    empty = choose_pairs({}, count=120)
    assert empty.pairs == ()
    assert "0 of 120" in empty.report()


def test_larger_gains_come_first():
    weak, strong = Pair(0, 20, 0.1, 0.5, 2.0), Pair(0, 20, 0.1, 0.9, 2.0)
    assert choose_pairs({"a": [weak], "b": [strong]}, count=1).pairs == (("b", strong),)


@given(
    st.dictionaries(
        st.sampled_from("abcde"),
        st.lists(
            st.tuples(st.integers(0, 60), st.floats(0, 1), st.floats(0.1, 1)), max_size=20, unique_by=lambda p: p[0]
        ),
    ),
    st.integers(1, 20),
    st.integers(1, 5),
    st.integers(1, 4),
    st.integers(0, 10),
)
def test_caps_hold_and_nothing_more_would_fit(drawn, count, bins, per_episode, apart):
    candidates = {e: [Pair(t, t + 20, v, v + gain, 2.0) for t, v, gain in pairs] for e, pairs in drawn.items()}
    chosen = choose_pairs(candidates, count=count, bins=bins, per_episode=per_episode, apart=apart)
    assert len(chosen.pairs) <= count
    assert sum(chosen.per_bin) == len(chosen.pairs)
    starts = {e: [p.t for f, p in chosen.pairs if f == e] for e in candidates}
    for own in starts.values():
        assert len(own) <= per_episode
        assert all(abs(a - b) >= max(apart, 1) for i, a in enumerate(own) for b in own[:i])
    if len(chosen.pairs) < count:
        for e, pairs in candidates.items():
            fitting = [p for p in pairs if all(abs(p.t - t) >= max(apart, 1) for t in starts[e])]
            assert not fitting or len(starts[e]) == per_episode


def test_bad_data_and_settings_are_refused():
    with pytest.raises(DataRefused):
        mined([0.1, np.nan])
    with pytest.raises(DataRefused):
        mined([0.1, 0.2], [0])
    with pytest.raises(UsageError):
        mined([0.1, 0.2], gain=0)
    with pytest.raises(UsageError):
        choose_pairs({}, count=0)
