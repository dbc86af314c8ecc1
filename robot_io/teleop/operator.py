"""The keys that judge an episode, with whatever device it is driven.

Capitals, so that no key that drives ends an episode:

    S success    F failure    D discard    N note: type it, then Enter    + - reward

They count while the episode runs. When it has ended the robot stands, nothing is written yet, and the same keys say
what it was after all; Enter keeps it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

from episodes.record import Outcome
from robot_io.protocols import EpisodeEnd, HumanInput

LEGEND = "S success, F failure, D discard, N note, + - reward"
LOOK_S = 0.05
_OUTCOMES = {"S": Outcome.SUCCESS, "F": Outcome.FAILURE}
_REWARDS = {"+": 1.0, "-": -1.0}


class Keys(Protocol):
    """Where keys come from; `Terminal` is one."""

    def keys(self) -> list[str]: ...
    def tell(self, text: str) -> None: ...


class Operator:
    """Remembers the note that is being typed."""

    def __init__(self) -> None:
        self._note: str | None = None

    def hear(self, keys: Sequence[str]) -> tuple[HumanInput, list[str]]:
        """What was said, and the keys that said nothing."""
        said, rest, notes, reward = HumanInput(), [], [], 0.0
        for key in keys:
            if self._note is not None:
                notes += self._typed(key)
            elif key in _OUTCOMES:
                said = replace(said, outcome=_OUTCOMES[key])
            elif key in _REWARDS:
                reward += _REWARDS[key]
            elif key == "D":
                said = replace(said, discard=True)
            elif key == "N":
                self._note = ""
            else:
                rest.append(key)
        return replace(said, note="; ".join(notes), reward=reward), rest

    @property
    def typing(self) -> bool:
        """A note is being typed."""
        return self._note is not None

    def _typed(self, key: str) -> list[str]:
        """The note, once it is complete."""
        assert self._note is not None
        if key == "enter":
            note, self._note = self._note.strip(), None
            return [note] if note else []
        if key == "backspace":
            self._note = self._note[:-1]
        elif len(key) == 1:
            self._note += key
        return []


def review(
    keys: Keys, end: EpisodeEnd, *, heed: Callable[[], None], wait: Callable[[float], None] = time.sleep
) -> HumanInput:
    """What the person says of an episode that has ended; `heed` is called often and may raise to stop the waiting."""
    keys.keys()  # what was pressed until now was meant for driving
    keys.tell(f"ended: {end.end_reason}, {end.success.value}. Enter keeps it and goes on; {LEGEND}")
    operator, said = Operator(), HumanInput()
    while True:
        heed()
        pressed = keys.keys()
        new, rest = operator.hear(pressed)
        said = _added(said, new)
        if "enter" in rest or said.discard or said.outcome is not None:
            return said
        if "N" in pressed and operator.typing:
            keys.tell("note, then Enter:")
        wait(LOOK_S)


def _added(said: HumanInput, new: HumanInput) -> HumanInput:
    notes = "; ".join(note for note in (said.note, new.note) if note)
    return replace(new, note=notes, reward=said.reward + new.reward)
