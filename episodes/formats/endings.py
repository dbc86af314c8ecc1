"""How an episode ended, by what a foreign file or the mapping says of it, and what is to be told of that.

A label without a meaning is unknown, and told by name with the line for the mapping; a name that is published nowhere
is a guess, and told as one. Nothing is read from rewards or names of files.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from episodes.errors import DataRefused
from episodes.formats.mapping import FieldMapping
from episodes.formats.meaning import asked, plain_name
from episodes.record import Outcome

_LABELS_TOLD = 8
SUCCESS = ("episode_success", "success", "is_success", "succeed", "succeeded", "task_success")
FAILURE = ("failure", "failed", "is_failure")
_UNPUBLISHED = ("succeeded", "task_success", "failed", "is_failure")
"""of these, what looks like it and no more"""
_WORDS = {
    **dict.fromkeys(("success", "succeeded", "successful", "true", "1"), Outcome.SUCCESS),
    **dict.fromkeys(("failure", "failed", "fail", "false", "0"), Outcome.FAILURE),
    **dict.fromkeys(("unknown", "", "none", "null", "nan"), Outcome.UNKNOWN),
}


def says_how_it_ended(key: str) -> bool:
    """True for a name that `outcome` reads."""
    return plain_name(key) in SUCCESS + FAILURE


class Endings:
    """How the episodes of one dataset ended, and what is to be said of that: guesses, and labels without a meaning."""

    def __init__(self, said: FieldMapping | None) -> None:
        self._said, self._values = said, said.values if said else {}
        self._labels: dict[str, Counter[str]] = {}
        """column -> label that ended an episode -> how many; without `values` in the mapping only those not known"""
        self._guessed: dict[str, None] = {}
        self._episodes = 0

    def of(self, steps: Mapping[str, Any], episode: Mapping[str, Any]) -> tuple[Outcome, str]:
        """`outcome` of one more episode."""
        ended = outcome(steps, episode, self._said)
        self._episodes += 1
        said = _found(steps, episode) if self._said is None else {}
        if all(plain_name(key) in _UNPUBLISHED for key in said):
            self._guessed |= dict.fromkeys(said)
        read = {key: steps[key] for key in steps if self._is_read(key)}
        read |= {key: episode[key] for key in episode if self._is_read(key)}
        for key, value in read.items():
            label = _last(value) if self._values else _odd(value)
            if label is not None and (self._values or ended[0] is Outcome.UNKNOWN):
                self._labels.setdefault(key, Counter())[label] += 1
        return ended

    def warnings(self) -> list[str]:
        """A sentence for each column: labels that have no meaning, meanings whose label ends no episode, guesses."""
        told = [_strange(key, labels, self._episodes, self._values) for key, labels in self._labels.items()]
        for key, labels in self._labels.items():
            unseen = [repr(label) for label in self._values if label not in labels]
            spelling = "check the spelling in fields.success.values"
            told.append(f"outcome: {key} ends no episode with {', '.join(unseen)}; {spelling}" if unseen else "")
        remedy = "say it for certain with fields.success in the mapping"
        guess = "outcome: it is a guess from its name that {} says how it ended; {}"
        return [*filter(None, told), *(guess.format(key, remedy) for key in self._guessed)]

    def _is_read(self, key: str) -> bool:
        return says_how_it_ended(key) if self._said is None else key == self._said.source[0]


def _strange(key: str, labels: Counter[str], episodes: int, values: Mapping[str, str]) -> str:
    """What to say of the labels that have no meaning."""
    strange = [(label, count) for label, count in labels.most_common() if label not in values]
    if not strange:
        return ""
    first = [f"{label[:40]!r} ({count} of {episodes} episodes)" for label, count in strange[:_LABELS_TOLD]]
    more = f" and {len(strange) - _LABELS_TOLD} more" if len(strange) > _LABELS_TOLD else ""
    why = "the mapping gives no meaning" if values else "has no known meaning"
    remedy = "add it to fields.success.values" if values else f"say it in the mapping: {_line_of_labels(key, strange)}"
    return f"outcome: {key} ends with {', '.join(first)}{more}, which {why}, so these are unknown; {remedy}"


def _line_of_labels(key: str, strange: list[tuple[str, int]]) -> str:
    label = json.dumps(strange[0][0][:40], ensure_ascii=False)
    return f'fields.success = {{from = {json.dumps(key, ensure_ascii=False)}, values = {{{label} = "..."}}}}'


def _odd(value: Any) -> str | None:
    """The last value where it is no flag and no word for an outcome."""
    values = np.asarray(value).reshape(-1)
    if values.dtype.kind not in "biuf":
        label = _last(value)
        return None if label.removesuffix(".0").strip().lower() in _WORDS else label
    numbers = values.astype(float)
    odd = numbers[~(np.isnan(numbers) | np.isin(numbers, (0, 1)))]
    return f"{odd[-1]:g}" if len(odd) else None


def _last(value: Any) -> str:
    """The value of the episode, or of its last step, as text."""
    values = np.asarray(value).reshape(-1)
    last = values[-1] if len(values) else ""
    return last.decode(errors="replace") if isinstance(last, bytes) else str(last)


def outcome(
    steps: Mapping[str, Any], episode: Mapping[str, Any], said: FieldMapping | None = None
) -> tuple[Outcome, str]:
    """How the episode ended, and what says so; `(UNKNOWN, "")` where nothing does.

    `episode` has values for the whole episode: a success flag that is false says failure. `steps` has columns (T,): a
    column that is false all along may be one that nobody filled, and says nothing. A failure flag says only that it
    failed. Raises `DataRefused` where two say the opposite.
    """
    if said is not None:
        return _declared(steps, episode, said)
    found = _found(steps, episode)
    if len(set(found.values())) > 1:
        one, other = sorted(found)[:2]
        what = f"{one} says {found[one].value} and {other} says {found[other].value}"
        raise DataRefused(f"{what}; say which one counts with fields.success in the mapping")
    return next(((result, f"field {key} of the source") for key, result in found.items()), (Outcome.UNKNOWN, ""))


def _found(steps: Mapping[str, Any], episode: Mapping[str, Any]) -> dict[str, Outcome]:
    """What each of the names that `outcome` knows says, where it says anything."""
    found = {key: _word(key, value) for key, value in episode.items() if says_how_it_ended(key)}
    found |= {key: _column(key, steps[key]) for key in steps if says_how_it_ended(key)}
    return {key: result for key, result in found.items() if result is not Outcome.UNKNOWN}


def _declared(steps: Mapping[str, Any], episode: Mapping[str, Any], said: FieldMapping) -> tuple[Outcome, str]:
    key = said.source[0]
    if said.values:
        label = _last(episode[key] if key in episode else asked(steps, key, "success"))
        result = Outcome(said.values.get(label, "unknown"))
    else:
        values = np.asarray(episode[key] if key in episode else asked(steps, key, "success")).reshape(-1)
        result = _word(key, values[-1]) if key in episode else _column(key, values)
    return result, f"field {key} by the import mapping" if result is not Outcome.UNKNOWN else ""


def _word(key: str, value: Any) -> Outcome:
    """One value for the whole episode."""
    result = _WORDS.get(_last(value).removesuffix(".0").strip().lower(), Outcome.UNKNOWN)
    if plain_name(key) in FAILURE:
        return Outcome.FAILURE if result is Outcome.SUCCESS else Outcome.UNKNOWN
    return result


def _column(key: str, values: Any) -> Outcome:
    """One value a step: it counts where it is true once."""
    values = np.asarray(values)
    if values.dtype.kind in "OSU":
        return _word(key, values)
    if not (np.nan_to_num(np.asarray(values, float)) == 1).any():
        return Outcome.UNKNOWN
    return Outcome.FAILURE if plain_name(key) in FAILURE else Outcome.SUCCESS
