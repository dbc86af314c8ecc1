"""The one tree of errors that Regrasp raises on purpose.

* RegraspError                      exit code 1
  + UsageError                      2   a flag, name or setting that cannot be right
  + MissingExtra                    2   an optional package or system library is not installed
  + DataRefused                     3   data that cannot be used as it is
    - EpisodeFormatError            3   one episode or file of a source is not what its format says
    - Conflict                      3   somebody else decided about the same thing in the meantime
  + GateNotMet                      4   a number that had to be reached was not
  + IntegrityError                  5   bytes are not the bytes that were written
  + DeviceError                     6   a robot, camera or input device failed
    - SafetyStop                    6   motion was stopped on purpose

A message is one sentence: what is wrong, where, and what to do about it.
"""

from __future__ import annotations


class RegraspError(Exception):
    """Any failure Regrasp explains to a person; `exit_code` is what the command line returns."""

    exit_code = 1


class UsageError(RegraspError):
    """A command, flag or setting that cannot be right."""

    exit_code = 2


class MissingExtra(RegraspError):
    """An optional package or system library is not installed; the message names the install line."""

    exit_code = 2


class DataRefused(RegraspError):
    """Data that cannot be used as it is (NaN curve, unknown outcomes, wrong shape, full disk)."""

    exit_code = 3


class EpisodeFormatError(DataRefused):
    """One episode or file of a source is not what its format says it is."""

    def __init__(self, what: str, *, file: str, episode: str = "", key: str = "", remedy: str) -> None:
        self.what, self.file, self.episode, self.key, self.remedy = what, file, episode, key, remedy
        place = ", ".join(part for part in (file, episode and f"episode {episode}", key and f"key {key}") if part)
        super().__init__(f"{what} ({place}); {remedy}")


class Conflict(DataRefused):
    """Somebody else decided about the same thing in the meantime: both versions are there to choose from."""


class GateNotMet(RegraspError):
    """A required number was not reached; the message names the line and its value."""

    exit_code = 4


class IntegrityError(RegraspError):
    """Bytes differ from what was written: a flipped byte, a cut tail, another encoder's index."""

    exit_code = 5


class DeviceError(RegraspError):
    """A robot, camera or input device is missing or failed."""

    exit_code = 6


class SafetyStop(DeviceError):
    """Motion was stopped on purpose; the reason is in the message and in the episode's events."""
