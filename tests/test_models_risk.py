"""Value-risk: against the formula written out, and batch against stream bit for bit."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from episodes.errors import DataRefused, UsageError
from models.risk import RiskStream, value_risk

CURVES = st.lists(st.floats(-2, 3, allow_nan=False), min_size=1, max_size=60)
SETTINGS = st.fixed_dictionaries(
    {
        "window": st.integers(1, 12),
        "epsilon": st.floats(-0.1, 0.1),
        "gamma": st.floats(0, 1.5),
        "signed": st.booleans(),
        "clip": st.booleans(),
    }
)


def written_out(values, window=8, epsilon=0.005, gamma=0.9, signed=True, clip=True):
    if clip:
        values = [min(max(v, 0.0), 1.0) for v in values]

    def at(t):
        return values[max(t, 0)]

    risks = []
    for t in range(len(values)):
        total = 0.0
        for i in range(window):
            term = epsilon - (at(t - i) - at(t - i - 1))
            total += gamma**i * (term if signed else max(0.0, term))
        risks.append((1 - at(t)) * total)
    return risks


@given(CURVES, SETTINGS)
def test_batch_is_the_formula(values, settings):
    np.testing.assert_allclose(value_risk(values, **settings), written_out(values, **settings), rtol=1e-9, atol=1e-12)


@given(CURVES, SETTINGS)
def test_stream_is_the_batch_bit_for_bit(values, settings):
    stream = RiskStream(**settings)
    assert value_risk(values, **settings).tolist() == [stream.update(v) for v in values]


@given(CURVES, CURVES, SETTINGS)
def test_reset_forgets_everything(before, values, settings):
    stream = RiskStream(**settings)
    for value in before:
        stream.update(value)
    stream.reset()
    assert [stream.update(v) for v in values] == value_risk(values, **settings).tolist()


def test_flat_curve_risks_its_missing_progress():
    horizon = sum(0.9**i for i in range(8))
    np.testing.assert_allclose(value_risk([0.25] * 20), 0.75 * 0.005 * horizon)


def test_one_step_and_done_curves():
    assert value_risk([0.5]).shape == (1,)
    assert value_risk([1.0] * 5).tolist() == [0.0] * 5


def test_progress_faster_than_epsilon_is_negative_and_falling_is_positive():
    assert (value_risk(np.linspace(0, 0.9, 30))[1:] < 0).all()
    assert (value_risk(np.linspace(0.9, 0, 30)) > 0).all()


def test_values_above_one_carry_no_risk_only_if_clipped():
    rising = np.linspace(1.02, 1.2, 20)
    assert (value_risk(rising) == 0).all()
    assert (value_risk(rising, clip=False)[8:] > 0).all()


def test_unsigned_risk_is_never_negative():
    assert (value_risk(np.linspace(0, 1, 30), signed=False) >= 0).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_nan_and_inf_are_refused(bad):
    with pytest.raises(DataRefused, match="at step 1"):
        value_risk([0.1, bad, 0.2])
    stream = RiskStream()
    first = stream.update(0.1)
    with pytest.raises(DataRefused, match="hold the robot"):
        stream.update(bad)
    assert stream.update(0.1) == first


@pytest.mark.parametrize("values", [[], [[0.1, 0.2]], 0.5])
def test_what_is_no_curve_is_refused(values):
    with pytest.raises(DataRefused, match="one episode"):
        value_risk(values)


@pytest.mark.parametrize("settings", [{"window": 0}, {"epsilon": np.nan}, {"gamma": np.inf}])
def test_undefined_settings_are_refused(settings):
    with pytest.raises(UsageError):
        value_risk([0.1], **settings)
    with pytest.raises(UsageError):
        RiskStream(**settings)
