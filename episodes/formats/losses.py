"""What an export cannot carry: each loss is a class, in the words a person reads, and what of it this episode has.

Every writer tells the losses of every episode (`Writer.lost`); `told` makes one line of each class.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, fields

from episodes.formats.note import NOTED
from episodes.record import ActionSource, Episode

Loss = tuple[str, str]
"""class of loss, and what is lost"""

_ARRAYS = (
    "ee_pose", "proprio", "wrench", "policy_action", "human_action", "raw_action", "policy_id", "reward", "depth",
    "robot_stream",
)  # fmt: skip
_ABOUT = {field.name: field for field in fields(Episode) if field.name in NOTED}
_HAVE_THEIR_OWN = ("task", "instruction", "success", "fps", "time_derivation", "cameras")
_PERSON_OR_NOT = (ActionSource.POLICY, ActionSource.HUMAN, ActionSource.UNKNOWN)


class Losses:
    """The losses of many episodes."""

    def __init__(self) -> None:
        self._things: dict[str, dict[str, None]] = {}
        self._episodes = Counter[str]()

    def add(self, losses: Iterator[Loss]) -> None:
        """Those of one more episode."""
        found = list(losses)
        self._episodes.update({kind for kind, _ in found})
        for kind, thing in found:
            self._things.setdefault(kind, {})[thing] = None

    def told(self, episodes: int) -> tuple[str, ...]:
        """A line for each class, with the number of episodes where it is not all of so many."""
        counts = {k: "" if n == episodes else f" ({n} of {episodes} episodes)" for k, n in self._episodes.items()}
        return tuple(f"{kind}: {', '.join(things)}{counts[kind]}" for kind, things in self._things.items())


def of_arrays(episode: Episode, *, kept: Sequence[str] = (), lost: Sequence[str] = _ARRAYS) -> Iterator[Loss]:
    """The arrays that the episode has and the format has no place for."""
    yield from (("arrays", name) for name in lost if name not in kept and _given(episode, name))


def of_what_is_known(episode: Episode, *, kept: Sequence[str] = ()) -> Iterator[Loss]:
    """What a note would hold beside the arrays, where the format has none: all that is not as if nobody said it."""
    for name, field in _ABOUT.items():
        usual = field.default if field.default_factory is MISSING else field.default_factory()
        if name not in (*_HAVE_THEIR_OWN, *kept) and getattr(episode, name) != usual:
            yield "what is known of the episode", name
    if any(camera.intrinsics or camera.extrinsics for camera in episode.cameras.values()):
        yield "what is known of the episode", "calibration of cameras"


def of_actors(episode: Episode) -> Iterator[Loss]:
    """Where the format says of each step whether a person acted, or says nothing of the episode."""
    present = [source for source in ActionSource if source in episode.action_source]
    others = [source for source in present if source not in _PERSON_OR_NOT]
    yield from (("actors, who become policy", source.name.lower()) for source in others)
    if ActionSource.UNKNOWN in present:
        known = [source for source in present if source is not ActionSource.UNKNOWN]
        yield from (("actors, where one is not known", source.name.lower()) for source in known)


def of_pixels(episode: Episode, cameras: Sequence[str]) -> Iterator[Loss]:
    """Where frames are decoded and go out as pixels."""
    yield from (("bytes of frames, whose pixels are kept", name) for name in cameras if name in episode.images)


def _given(episode: Episode, name: str) -> bool:
    """True where the episode says anything in this field."""
    value = getattr(episode, name)
    return value is not None and (not isinstance(value, Sequence | Mapping | str) or len(value) > 0)
