"""How the acting models (base policy, recovery) look at proprio: named columns, and fine scales where needed.

Offsets to an object (`priv/...`, m and rad) matter at half a millimetre and at ten centimetres; each such column is
given twice more through tanh(x / .003) and tanh(x / .03), so that a small net can see both.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from episodes.record import Array
from models.dataset import PRIVILEGED_PREFIX

SCALES = (0.003, 0.03)


def fine_columns(names: Sequence[str]) -> list[int]:
    """Columns that are given at fine scales too: estimated offsets to objects."""
    return [i for i, name in enumerate(names) if name.startswith(PRIVILEGED_PREFIX)]


def expanded(proprio: Array, names: Sequence[str]) -> Array:
    """(T, P) proprio to (T, P + 2 F) float32 with the fine scales appended."""
    fine = np.asarray(proprio)[:, fine_columns(names)]
    return np.concatenate([proprio, *(np.tanh(fine / scale) for scale in SCALES)], axis=1).astype(np.float32)


def situation_columns(names: Sequence[str]) -> list[int]:
    """Columns that say how the robot stands to its work wherever the work is: all but the absolute tool pose."""
    return [i for i, name in enumerate(names) if not name.startswith("tool/")]
