"""The statistics that a LeRobot dataset carries: per episode, and merged over all of them as LeRobot merges them.

min, max, mean, std (population), count, and the quantiles q01 q10 q50 q90 q99. The quantiles of the whole are the
count-weighted means of the episodes' ones, as in LeRobot's own writer; steps without a value (a NaN row) do not count.
Of a camera, `SAMPLED` frames an episode are looked at, with values in [0, 1] and one statistic a colour.
"""

from __future__ import annotations

import numpy as np

from episodes.images import decode
from episodes.record import Array, EncodedFrames

QUANTILES = {"q01": 0.01, "q10": 0.1, "q50": 0.5, "q90": 0.9, "q99": 0.99}
STATISTICS = ("min", "max", "mean", "std", "count", *QUANTILES)
SAMPLED = 8
"""frames of a camera that are decoded for its statistics: decoding all would take longer than all else"""

Stats = dict[str, Array]


def column_stats(values: Array) -> Stats | None:
    """Statistics over the rows of (T,) or (T, n) numbers, each (n,); None where no row has any."""
    rows = np.asarray(values, np.float64).reshape(len(values), -1)
    rows = rows[~np.isnan(rows).all(axis=1)]
    return _stats(rows, len(rows)) if len(rows) else None


def camera_stats(frames: EncodedFrames) -> Stats:
    """Statistics of the pixels of some frames, each (3, 1, 1)."""
    looked_at = np.unique(np.linspace(0, len(frames) - 1, SAMPLED).round().astype(int))
    pixels = np.concatenate([decode(frames.frame(int(t)), frames.codec).reshape(-1, 3) for t in looked_at])
    found = _stats(pixels / 255, len(looked_at))
    return {name: value if name == "count" else value.reshape(3, 1, 1) for name, value in found.items()}


def merged(parts: list[Stats]) -> Stats:
    """The statistics of all episodes together."""
    counts = np.array([part["count"][0] for part in parts], np.float64)
    weights = counts / counts.sum()

    def mean_of(name: str) -> Array:
        return np.asarray(np.tensordot(weights, np.stack([part[name] for part in parts]), axes=1))

    mean = mean_of("mean")
    spread = [part["std"] ** 2 + (part["mean"] - mean) ** 2 for part in parts]
    return {
        "min": np.min([part["min"] for part in parts], axis=0),
        "max": np.max([part["max"] for part in parts], axis=0),
        "mean": mean,
        "std": np.sqrt(np.tensordot(weights, np.stack(spread), axes=1)),
        "count": np.array([counts.sum()], np.int64),
        **{name: mean_of(name) for name in QUANTILES},
    }


def _stats(rows: Array, count: int) -> Stats:
    quantiles = np.quantile(rows, list(QUANTILES.values()), axis=0)
    return {
        "min": rows.min(axis=0),
        "max": rows.max(axis=0),
        "mean": rows.mean(axis=0),
        "std": rows.std(axis=0),
        "count": np.array([count], np.int64),
        **dict(zip(QUANTILES, quantiles, strict=True)),
    }
