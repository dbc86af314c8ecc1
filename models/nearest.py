"""The rows of a key matrix that are most like a query: all compared, or the likely ones of an inverted file.

Up to `EXACT_UP_TO` keys every key is compared: reading them is faster than any index. Above, a FAISS inverted file (the
keys in some 3 sqrt(N) cells around k-means centres, the query compared with those of `PROBES` cells) names
`CANDIDATES` rows, whose similarity is then computed as if there were no index. The file is built anew from the keys,
with a fixed seed, in about a second for 10^5 of them; nothing of it is stored.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

EXACT_UP_TO = 20_000
"""keys; a memory's manifest records the number it was built with"""
PROBES, CANDIDATES = 16, 64
POINTS_PER_CELL, ROUNDS = 64, 8
"""of k-means"""

Keys = npt.NDArray[np.float32]


class Neighbours:
    """Candidate rows of unit keys (N, D); every row where there are few."""

    def __init__(self, unit_keys_ND: Keys, exact_up_to: int = EXACT_UP_TO) -> None:
        self._all = np.arange(len(unit_keys_ND))
        self._index = _inverted_file(unit_keys_ND) if len(unit_keys_ND) > exact_up_to else None

    @property
    def is_exact(self) -> bool:
        return self._index is None

    @property
    def every(self) -> npt.NDArray[np.int64]:
        """All rows."""
        return self._all

    def candidates(self, unit_query_D: Keys) -> npt.NDArray[np.int64]:
        """(n,) rows, in order, among which the nearest is sought."""
        if self._index is None:
            return self._all
        _, rows = self._index.search(unit_query_D[None], CANDIDATES)
        return np.sort(rows[0][rows[0] >= 0])


def _inverted_file(unit_keys_ND: Keys) -> Any:
    import faiss

    faiss.omp_set_num_threads(1)
    count, size = unit_keys_ND.shape
    index = faiss.IndexIVFFlat(faiss.IndexFlatIP(size), size, round(3 * count**0.5), faiss.METRIC_INNER_PRODUCT)
    index.own_fields = False
    index.cp.niter, index.cp.max_points_per_centroid, index.cp.seed = ROUNDS, POINTS_PER_CELL, 0
    keys = np.ascontiguousarray(unit_keys_ND)
    index.train(keys)
    index.add(keys)
    index.nprobe = PROBES
    return index
