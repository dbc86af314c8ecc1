"""Sampling weights: the formula, its ends, and that equal weights change nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from episodes.errors import DataRefused
from models.sampling import Draws, sampling_weights


def test_the_formula() -> None:
    np.testing.assert_allclose(sampling_weights(np.array([0.1, 0.2, 0.7]), 0.5), [0.198, 0.279, 0.523], atol=6e-4)
    np.testing.assert_allclose(sampling_weights(np.array([1.0, 3.0]), 1.0), [0.25, 0.75])
    np.testing.assert_array_equal(sampling_weights(np.array([5.0, 0.0, 1.0]), 0.0), [0.5, 0, 0.5])


@given(
    st.lists(st.just(0.0) | st.floats(1e-60, 1e60), min_size=1, max_size=9).filter(any),
    st.floats(0, 3),
    st.sampled_from([1e-3, 1.0, 7.0]),
)
def test_shares_sum_to_one_keep_their_order_and_have_no_scale(weights: list[float], alpha: float, scale: float) -> None:
    w = np.array(weights)
    shares = sampling_weights(w, alpha)
    assert shares.sum() == pytest.approx(1)
    assert (np.diff(shares[np.argsort(w)]) >= 0).all()
    assert (shares[w == 0] == 0).all()
    np.testing.assert_allclose(sampling_weights(w * scale, alpha), shares, atol=1e-9)


@pytest.mark.parametrize("weights", [[0.0, 0.0], [1.0, -1.0], [1.0, np.nan], [np.inf, 1.0]])
def test_what_is_no_weight_is_refused(weights: list[float]) -> None:
    with pytest.raises(DataRefused, match="mend the weights"):
        sampling_weights(np.array(weights))


def test_rows_of_one_weight_are_drawn_as_without() -> None:
    drawn = Draws(np.full(50, 0.3), torch.Generator().manual_seed(4))(1000)
    plain = torch.randint(50, (1000,), generator=torch.Generator().manual_seed(4))
    assert torch.equal(drawn, plain)


def test_rows_are_drawn_in_proportion_and_never_with_zero() -> None:
    drawn = Draws(np.array([1.0, 0.0, 3.0]), torch.Generator().manual_seed(0))(40_000)
    counts = np.bincount(drawn.numpy(), minlength=3) / 40_000
    np.testing.assert_allclose(counts, [0.25, 0, 0.75], atol=0.01)
