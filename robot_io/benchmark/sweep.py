"""Other people: how patient, how quick and how attentive the scripted person is, one of the three at a time.

What a method saves depends on who watches. The table has one person, fixed before it was run; here the same runs are
made with another. The person of the table is no setting: those runs are the table's own.
"""

from __future__ import annotations

from typing import NamedTuple

TASKS = ("tube_insertion", "ram_insertion")
METHODS = ("hil_serl", "hil_serl_regrasp")


class Setting(NamedTuple):
    """One parameter of `ScriptedHuman`, and what it is in place of the table's."""

    name: str
    value: float

    @property
    def schedule(self) -> str:
        """The name that its runs stand under, beside those of the table."""
        return f"sweep-{self.name}-{self.value:g}"


SETTINGS = tuple(
    Setting(name, value)
    for name, values in {"window_s": (2.0, 4.5), "delay_s": (0.3, 1.2), "attention": (0.8, 1.0)}.items()
    for value in values
)
