"""Where the episodes lie in pickles of transitions, found by their small values alone.

A file that names its task or its outcome is one episode. Other files of a folder, in the order of their numbers, are
one recording cut by number of steps: an episode ends at `dones`, and where the observation before a step is not the
one after the last, which is how a reset after a time-out shows. What ends in neither way is not complete.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

from episodes.errors import EpisodeFormatError
from episodes.formats.pickles.child import SMALL_BYTES
from episodes.formats.pickles.opening import REMEDY, Opener, Step
from episodes.formats.source import inside, stamp

SUFFIXES = (".pkl", ".pickle")
OBSERVED, NEXT = "observations/", "next_observations/"
_WHOLE = ("task_name", "task", "task_text", "success", "failure", "is_success", "raw_value")
"""what only files of one episode have"""


@dataclass(frozen=True, slots=True)
class Span:
    """Steps [start, stop) of a file."""

    file: str
    start: int
    stop: int
    since: tuple[int, int, int]
    """the stamp of the file before it was listed"""


@dataclass(slots=True)
class Part:
    """One episode as it lies in the files."""

    spans: list[Span] = field(default_factory=list)
    ended: bool = False
    refusal: EpisodeFormatError | None = None

    def extend(self, file: str, t: int, since: tuple[int, int, int]) -> None:
        """Take the step `t` of `file`, which follows the last one."""
        start = self.spans.pop().start if self.spans and self.spans[-1].file == file else t
        self.spans.append(Span(file, start, t + 1, since))


def files_of(path: Path) -> list[str]:
    """The pickles of a directory, or the one, below `path` (or its folder); 9 before 10."""
    if path.is_file():
        return [path.name] if path.suffix in SUFFIXES else []
    found = (file for suffix in SUFFIXES for file in path.rglob(f"*{suffix}") if file.is_file())
    return sorted((str(file.relative_to(path)) for file in found), key=_by_number)


def find_parts(root: Path, files: Iterable[str], opener: Opener) -> dict[str, Part]:
    """The episodes in the files of one dataset, by name, in order; a file that cannot be read is one with a refusal."""
    found: dict[str, Part] = {}
    folder, going_on, before = None, None, None
    for file in files:
        if Path(file).parent != folder:
            folder, going_on = Path(file).parent, None
        try:
            path = inside(root, file, episode=file, key="")
            since = stamp(path)
            content = list(opener.steps(path, small=True))
            if not content:
                raise EpisodeFormatError("this pickle holds no transitions", file=file, remedy=REMEDY)
        except EpisodeFormatError as error:
            found[file], going_on = Part(refusal=error), None
            continue
        if any(key in content[0] for key in _WHOLE):
            found[file], going_on = Part([Span(file, 0, len(content), since)], ended=True), None
            continue
        count = 0
        for t, step in enumerate(content):
            if going_on is not None and before is not None and not _goes_on(before, step):
                going_on.ended, going_on = True, None
            if going_on is None:
                going_on = found[f"{file}#{count}"] = Part()
                count += 1
            going_on.extend(file, t, since)
            before = step
            if _is_true(step.get("dones")):
                going_on.ended, going_on = True, None
    return found


def recognised(step: Step) -> bytes | None:
    """What tells one step from all others: its action and small observations. None where there is none of either."""
    keys = [key for key in sorted(step) if (key == "actions" or key.startswith(OBSERVED)) and _is_small(step[key])]
    if "actions" not in keys or len(keys) < 2:
        return None
    digest = blake2b(digest_size=16)
    for key in keys:
        digest.update(f"{key} {step[key].dtype} {step[key].shape} ".encode() + step[key].tobytes())
    return digest.digest()


def is_picture(value: Any) -> bool:
    """True for pixels (H, W, n), or a stack of them."""
    return isinstance(value, np.ndarray) and value.dtype == np.uint8 and value.ndim >= 3


def _is_small(value: Any) -> bool:
    return isinstance(value, np.ndarray) and not is_picture(value) and value.nbytes <= SMALL_BYTES


def _goes_on(before: Step, step: Step) -> bool:
    """False where a small observation of the step is another than the one that came after the step before."""
    names = [key.removeprefix(NEXT) for key in before if key.startswith(NEXT)]
    pairs = [(before[NEXT + name], step[OBSERVED + name]) for name in names if OBSERVED + name in step]
    return all(np.array_equal(np.asarray(one), np.asarray(two)) for one, two in pairs)


def _is_true(value: Any) -> bool:
    return value is not None and np.asarray(value).size == 1 and bool(np.asarray(value).reshape(-1)[0])


def _by_number(name: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)]
