"""CUSUM: the recurrence, its closed form, and the stream."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from episodes.errors import DataRefused, UsageError
from models.cusum import CusumStream, cusum

VALUES = st.floats(-1, 2)
DRIFT = st.floats(0, 0.2)


def closed_form(values, drift):
    """S_t = X_t - min_{s<=t} X_s with X the running sum of drift - gain."""
    x = np.concatenate([[0.0], np.cumsum(drift - np.diff(values))])
    return x - np.minimum.accumulate(x)


@given(st.lists(VALUES, min_size=1, max_size=60), DRIFT)
def test_recurrence_is_the_closed_form(values, drift):
    np.testing.assert_allclose(cusum(values, drift=drift), closed_form(values, drift), atol=1e-9)


@given(st.lists(VALUES, min_size=1, max_size=60), DRIFT)
def test_the_stream_is_the_batch(values, drift):
    stream = CusumStream(drift=drift)
    assert [stream.update(value) for value in values] == cusum(values, drift=drift).tolist()


def test_stall_grows_by_the_drift_progress_at_that_rate_stays_at_zero():
    np.testing.assert_allclose(cusum([0.4] * 5, drift=0.01), [0, 0.01, 0.02, 0.03, 0.04])
    assert cusum(np.arange(20) * 0.02, drift=0.01).tolist() == [0.0] * 20


def test_fall_counts_at_once_and_must_be_regained():
    np.testing.assert_allclose(cusum([0.5, 0.2, 0.4, 0.6], drift=0.0), [0, 0.3, 0.1, 0])


def test_reset_begins_a_run():
    stream = CusumStream(drift=0.1)
    stream.update(0.5)
    assert stream.update(0.5) == 0.1
    stream.reset()
    assert stream.update(0.5) == 0.0


def test_one_step():
    assert cusum([0.3], drift=0.1).tolist() == [0.0]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nan_and_inf_are_refused(bad):
    with pytest.raises(DataRefused, match="step 1"):
        cusum([0.1, bad], drift=0.1)
    with pytest.raises(DataRefused, match="hold the robot"):
        CusumStream(drift=0.1).update(bad)


@pytest.mark.parametrize("drift", [-0.1, np.nan, np.inf])
def test_undefined_drift_is_refused(drift):
    with pytest.raises(UsageError):
        CusumStream(drift=drift)
