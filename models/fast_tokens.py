"""FAST action tokens: a chunk as a short sequence of whole numbers, and back (Pertsch et al. 2025), fitted here.

    c = DCT-II of each action value over the H steps (orthonormal);  q = round(scale * c)

The coefficients are laid out lowest frequency first, all action values of one frequency together, and byte-pair
encoding merges the pairs that occur most, until the vocabulary is full. Decoding undoes each step; what is lost is the
rounding, at most .5 / scale a coefficient, and what lies outside the largest coefficient seen in the fit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from episodes.errors import DataRefused, UsageError
from episodes.record import Array


@dataclass(frozen=True, slots=True, kw_only=True)
class FastTokens:
    """A fitted tokenizer of (H, A) chunks."""

    horizon: int
    actions: int
    scale: float
    limit: int
    """largest coefficient: symbols 0 .. 2 limit are the numbers -limit .. limit"""
    merges: tuple[tuple[int, int], ...]
    """symbol 2 limit + 1 + i stands for the i-th pair"""

    @property
    def vocabulary(self) -> int:
        """How many symbols there are."""
        return 2 * self.limit + 1 + len(self.merges)

    @classmethod
    def fit(cls, chunks: Array, *, scale: float = 10.0, vocabulary: int = 256) -> FastTokens:
        """From (N, H, A) chunks; `DataRefused` on none or a number that is not finite."""
        if chunks.ndim != 3 or not len(chunks) or not np.isfinite(chunks).all():
            raise DataRefused(
                f"chunks of shape {chunks.shape} are not (N, H, A) finite numbers; leave out unknown actions"
            )
        if not scale > 0:
            raise UsageError(f"the tokenizer's scale is {scale}; use a number above 0, such as 10")
        whole = _coefficients(chunks, scale)
        limit = int(np.abs(whole).max())
        sequences = [(row + limit).tolist() for row in whole.reshape(len(whole), -1)]
        merges = _merges(sequences, 2 * limit + 1, vocabulary)
        return cls(horizon=chunks.shape[1], actions=chunks.shape[2], scale=scale, limit=limit, merges=tuple(merges))

    def encode(self, chunk: Array) -> list[int]:
        """Symbols of one (H, A) chunk."""
        whole = np.clip(_coefficients(np.asarray(chunk, float)[None], self.scale), -self.limit, self.limit)
        symbols = (whole.ravel() + self.limit).tolist()
        for number, pair in enumerate(self.merges):
            symbols = _merged(symbols, pair, 2 * self.limit + 1 + number)
        return symbols

    def decode(self, symbols: Sequence[int]) -> Array:
        """(H, A) chunk; what is missing at the end counts as coefficients of 0, what is too much is left out."""
        plain = [number for symbol in symbols for number in self._expanded(symbol)]
        size = self.horizon * self.actions
        whole = np.array([*plain, *[self.limit] * size][:size], float) - self.limit
        return np.asarray(_dct(self.horizon).T @ (whole.reshape(self.horizon, self.actions) / self.scale))

    def _expanded(self, symbol: int) -> list[int]:
        first = 2 * self.limit + 1
        if symbol < first:
            return [symbol]
        a, b = self.merges[symbol - first]
        return [*self._expanded(a), *self._expanded(b)]


def _dct(size: int) -> Array:
    """(size, size) orthonormal DCT-II: rows are frequencies."""
    k, n = np.arange(size)[:, None], np.arange(size)[None]
    basis = np.cos(np.pi * (n + 0.5) * k / size) * np.sqrt(2 / size)
    basis[0] /= np.sqrt(2)
    return np.asarray(basis)


def _coefficients(chunks: Array, scale: float) -> Array:
    """(N, H, A) int64, lowest frequency first."""
    return np.asarray(np.rint(scale * (_dct(chunks.shape[1]) @ np.asarray(chunks, float))), np.int64)


def _merges(sequences: list[list[int]], first: int, vocabulary: int) -> list[tuple[int, int]]:
    """The pairs to merge, most frequent first (the smaller pair of equals), until the vocabulary is full."""
    merges: list[tuple[int, int]] = []
    while first + len(merges) < vocabulary:
        counts: Counter[tuple[int, int]] = Counter()
        for sequence in sequences:
            counts.update(pairwise(sequence))
        best = min(counts, key=lambda pair: (-counts[pair], pair), default=None)
        if best is None or counts[best] < 2:
            break
        sequences = [_merged(sequence, best, first + len(merges)) for sequence in sequences]
        merges.append(best)
    return merges


def _merged(symbols: list[int], pair: tuple[int, int], into: int) -> list[int]:
    """The sequence with each occurrence of `pair` replaced, from the left."""
    out: list[int] = []
    for symbol in symbols:
        if out and (out[-1], symbol) == pair:
            out[-1] = into
        else:
            out.append(symbol)
    return out
