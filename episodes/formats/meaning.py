"""Who acted at each step, by what a foreign file means with its flags. (`endings`: how the episode ended.)

Every project has its own name for "a person intervenes", some with the opposite polarity, one by whether a value is
there at all. All readers ask here, so that a name means the same in each format. What the person who imports says
wins; a name that is published somewhere is known; a name that only looks like one is a guess, and the report says so;
two columns that contradict each other are refused. Nothing is read from rewards, motion or file names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from episodes.errors import DataRefused
from episodes.formats.mapping import FieldMapping
from episodes.record import ActionSource, Array

Coding = Literal["human", "policy", "presence", "mode"]
"""who acts where the value is true; or a human action that is there only where a person acts; or the actor's name"""

KNOWN: dict[str, Coding] = {
    "human_intervene": "human",  # the first write-up of UniIntervene
    "intervention": "human",  # lerobot-rollout
    "is_intervention": "human",  # LeRobot's TeleopEvents, Evo-RL
    "intervene_action": "presence",  # HIL-SERL, RLinf
    "control_mode": "mode",  # our own exports
}
GUESSED: dict[str, Coding] = {
    **dict.fromkeys(("interventions", "intervene", "intervened", "human_intervention"), "human"),
    **dict.fromkeys(("takeover", "is_takeover", "is_human", "human_control", "is_teleop", "teleop", "expert"), "human"),
    **dict.fromkeys(("autonomous", "is_autonomous", "is_policy", "policy_control", "robot_control"), "policy"),
    **dict.fromkeys(("action_source", "controller", "control"), "mode"),
}
"""they look like it; none of them is published with one meaning"""
_OWN_NAMES = {source.name.lower(): source for source in ActionSource}
_ACTORS = _OWN_NAMES | {
    **dict.fromkeys(("robot", "autonomous", "auto", "model", "agent"), ActionSource.POLICY),
    **dict.fromkeys(("person", "operator", "teleop", "expert", "manual", "intervention"), ActionSource.HUMAN),
    **dict.fromkeys(("idle", "pause", "paused"), ActionSource.HOLD),
}


@dataclass(frozen=True, slots=True)
class Actors:
    """Who acted, as one source says it."""

    source: Array
    """(T,) uint8, `ActionSource`"""
    column: str
    """the name that says it, "" where none does"""
    warning: str = ""


def plain_name(key: str) -> str:
    """The last part of a key without the prefixes that formats put before it: `complementary_info.x`, `info/x`."""
    return key.replace("/", ".").replace(":", ".").rpartition(".")[2].lower()


def says_who_acts(key: str) -> bool:
    """True for a column that `actors` reads."""
    return plain_name(key) in KNOWN or plain_name(key) in GUESSED


def actors(columns: Mapping[str, Any], length: int, said: FieldMapping | None = None) -> Actors:
    """Who acted at each of `length` steps, by the columns (T,) or (T, n) of a source; unknown where none says it.

    `said` names the column and its polarity. Raises `DataRefused` for values that are no flag and for two columns that
    contradict each other.
    """
    if said is not None:
        key = said.source[0]
        values = asked(columns, key, "intervention")
        source = _decode(key, values, KNOWN.get(plain_name(key), "human"), said)
        return Actors(source, key, _guess(key, "", values))
    for table in (KNOWN, GUESSED):
        found = {key: _decode(key, columns[key], table[plain_name(key)]) for key in columns if plain_name(key) in table}
        found = {key: source for key, source in found.items() if (source != ActionSource.UNKNOWN).any()}
        if found:
            finest = _agreed(found, table)
            coding = table[plain_name(finest)] if table is GUESSED else ""
            return Actors(found[finest], finest, _guess(finest, coding, columns[finest]))
    return Actors(np.full(length, ActionSource.UNKNOWN, np.uint8), "")


def _agreed(found: dict[str, Array], names: Mapping[str, Coding]) -> str:
    """The finest of the columns, which all tell human steps from others in the same way."""
    # who is named, is named finer than by a flag
    finest = max(found, key=lambda key: (names[plain_name(key)] == "mode", len(np.unique(found[key]))))
    for key, source in found.items():
        both = (source != ActionSource.UNKNOWN) & (found[finest] != ActionSource.UNKNOWN)
        odd = both & ((source == ActionSource.HUMAN) != (found[finest] == ActionSource.HUMAN))
        if odd.any():
            what = f"{finest} and {key} do not agree on who acted at step {np.argmax(odd)}"
            raise DataRefused(f"{what}; say which one counts with fields.intervention in the mapping")
    return finest


def _guess(key: str, coding: Coding | Literal[""], values: Any) -> str:
    """What to say where the meaning of a column, by its `coding`, or of the names in it is a guess."""
    values = np.asarray(values)
    names = {*_names_in(values)} & (_ACTORS.keys() - _OWN_NAMES) if values.dtype.kind in "OSU" else set()
    read = ", ".join(f"{name!r} as {_ACTORS[name].name.lower()}" for name in sorted(names))
    if coding:
        meant = {"human": "a person acts where it is true", "policy": "the policy acts where it is true"}
        told = "; ".join(filter(None, (meant.get(coding, "it names the actor"), read)))
        remedy = "say it for certain with fields.intervention in the mapping"
        return f"action_source: it is a guess from its name that {key} says who acted ({told}); {remedy}"
    own = ", ".join(_OWN_NAMES)
    remedy = f"where it means another, write one of {own} in the source"
    return f"action_source: what {key} names is read by a guess, {read}; {remedy}" if read else ""


def _decode(key: str, values: Any, coding: Coding, said: FieldMapping | None = None) -> Array:
    values = np.asarray(values)
    if coding == "presence":
        if values.dtype.kind in "OSU":
            what = f"{key} should hold what the person did at each step and holds text"
            raise DataRefused(f"{what}; name another column with fields.intervention in the mapping")
        there = ~np.isnan(np.asarray(values, float).reshape(len(values), -1)).all(axis=1)
        return _sources(there)
    if values.dtype.kind in "OSU":
        names = _names_in(values)
        if not set(names) <= _FLAGS.keys():
            return _named(key, names)
        values = np.array([_FLAGS[name] for name in names])
    flags = np.asarray(values, float).reshape(len(values), -1)
    if flags.shape[1] != 1 or not (np.isnan(flags) | np.isin(flags, (0, 1))).all():
        what = f"{key} should say at each step whether a person acts and has other values than true and false"
        raise DataRefused(f"{what}; say what it means: name another column with fields.intervention in the mapping")
    human = flags[:, 0] == (0 if (said.true if said else coding) == "policy" else 1)
    return np.where(np.isnan(flags[:, 0]), ActionSource.UNKNOWN, _sources(human)).astype(np.uint8)


def _names_in(values: Array) -> list[str]:
    """Texts (T,) without what is no matter: case, and blanks around them."""
    texts = (value.decode(errors="replace") if isinstance(value, bytes) else str(value) for value in values.reshape(-1))
    return [text.strip().lower() for text in texts]


_FLAGS = {"true": 1.0, "false": 0.0, "": np.nan, "none": np.nan}
"""flags that were written as text"""


def _named(key: str, names: list[str]) -> Array:
    """Sources of a column of names."""
    unknown = sorted({name for name in names if name and name not in _ACTORS})
    if unknown:
        what = f"{key} names an actor {unknown[0]!r}, which is none of {', '.join(sorted(_ACTORS))}"
        raise DataRefused(f"{what}; rename it in the source, or name another column with fields.intervention")
    return np.array([_ACTORS.get(name, ActionSource.UNKNOWN) for name in names], np.uint8)


def _sources(human: Array) -> Array:
    return np.where(human, ActionSource.HUMAN, ActionSource.POLICY).astype(np.uint8)


def instruction(said: FieldMapping, column: Callable[[str], Array]) -> str:
    """The one text of the column that the mapping names. `DataRefused` where it has several, or numbers."""
    key = said.source[0]
    values = np.asarray(column(key)).reshape(-1)
    if values.dtype.kind not in "OSU":
        raise DataRefused(f"{key} holds numbers and no instruction; mend fields.instruction in the mapping")
    texts = {value.decode(errors="replace") if isinstance(value, bytes) else str(value) for value in values} - {""}
    if len(texts) > 1:
        raise DataRefused(f"{key} has {len(texts)} texts in one episode; mend fields.instruction in the mapping")
    return next(iter(texts), "")


def asked(columns: Mapping[str, Any], key: str, field: str) -> Any:
    """The column that the mapping names."""
    try:
        return columns[key]
    except KeyError as error:
        what = f"there is no {key!r}, of {', '.join(columns) or 'nothing'}"
        raise DataRefused(f"{what}; mend fields.{field} in the mapping") from error
