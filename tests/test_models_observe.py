"""How the acting models see proprio: fine scales for estimated offsets, no absolute tool pose in a situation."""

from __future__ import annotations

import numpy as np

from models.observe import expanded, fine_columns, situation_columns

NAMES = ("tool/x", "priv/dx", "wrench/fx", "priv/dy")


def test_estimated_offsets_are_given_at_two_finer_scales() -> None:
    x = np.array([[1.0, 0.003, 5.0, -0.03]])
    out = expanded(x, NAMES)
    t = np.tanh
    np.testing.assert_allclose(out, [[1, 0.003, 5, -0.03, t(1), t(-10), t(0.1), t(-1)]], rtol=1e-6)
    assert out.dtype == np.float32
    assert fine_columns(NAMES) == [1, 3]


def test_without_such_columns_nothing_is_added() -> None:
    assert expanded(np.ones((3, 2)), ("tool/x", "wrench/fx")).shape == (3, 2)


def test_a_situation_holds_wherever_the_work_is() -> None:
    assert situation_columns(NAMES) == [1, 2, 3]
