"""The order of the queue: what is most worth a person's look first, and a fixed share at random, told apart.

score = .5 disagreement + .25 uncertainty + .25 novelty, each in [0, 1]. Every fifth place is a random pick: what is
wrong among those estimates how much is wrong everywhere, and by how much the ranking finds it sooner. Places count
from the first decision ever made, so that who always takes the first meets random ones too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from audits.events import Event
from audits.log import undone
from labeling_app.signals import Candidate

T = TypeVar("T")
EVERY = 5
"""every so manieth place is random"""
RANDOM = "picked at random, to measure the queue"
WEIGHTS = {"disagreement": 0.5, "uncertainty": 0.25, "novelty": 0.25}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A candidate at its place in the queue."""

    candidate: Candidate
    score: float
    why: str
    """the reason, as it goes into the log"""
    random: bool

    def brought(self, item: str) -> bool:
        """True for a decision that this place led to; of a stall without a label, whatever label it was given."""
        own = self.candidate
        return item == own.item or (own.kind == "missed" and item.partition(":")[0] == own.episode_id)


def queue(candidates: Sequence[Candidate], decided: Collection[str], done: int = 0) -> list[Place]:
    """What is not decided yet, in the order to look at it; `done` places were `taken` before."""
    novel = novelty(candidates, decided)
    scored = [
        (candidate, _score(candidate, new), new)
        for candidate, new in zip(candidates, novel, strict=True)
        if candidate.item not in decided
    ]
    ranked = sorted(scored, key=lambda each: (-each[1], each[0].item))
    by_chance = sorted(scored, key=lambda each: hashlib.sha256(each[0].item.encode()).digest())
    return [_place(*each, random=random) for each, random in _mixed(ranked, by_chance, done)]


def _mixed(ranked: Sequence[T], by_chance: Sequence[T], done: int) -> Iterator[tuple[T, bool]]:
    """Every fifth from `by_chance`, the others from `ranked`, each once."""
    sources, taken = (iter(ranked), iter(by_chance)), set[int]()
    for place in range(done, done + len(ranked)):
        random = place % EVERY == EVERY - 1
        found = next(each for each in sources[random] if id(each) not in taken)
        taken.add(id(found))
        yield found, random


def _score(candidate: Candidate, new: float) -> float:
    signals = {"disagreement": candidate.disagreement, "uncertainty": candidate.uncertainty, "novelty": new}
    return sum(weight * signals[name] for name, weight in WEIGHTS.items())


def _place(candidate: Candidate, score: float, new: float, *, random: bool) -> Place:
    reasons = [*candidate.reasons]
    if not reasons:
        reasons = ["unlike what was decided so far" if new > candidate.uncertainty else "the model is not sure of it"]
    return Place(candidate=candidate, score=score, why=RANDOM if random else "; ".join(reasons), random=random)


def novelty(candidates: Sequence[Candidate], decided: Collection[str]) -> list[float]:
    """How far each is from the nearest decided one of its kind (from the middle where none is), 1 for the farthest."""
    out = dict.fromkeys((candidate.item for candidate in candidates), 0.0)
    for kind in {candidate.kind for candidate in candidates}:
        own = [candidate for candidate in candidates if candidate.kind == kind]
        features = np.array([candidate.features for candidate in own], np.float64)
        features = (features - features.mean(axis=0)) / np.maximum(features.std(axis=0), 1e-9)
        known = features[[candidate.item in decided for candidate in own]]
        known = known[:500] if len(known) else np.median(features, axis=0, keepdims=True)
        far = np.min([np.linalg.norm(features - each, axis=1) for each in known], axis=0)
        out |= zip((candidate.item for candidate in own), far / max(far.max(), 1e-9), strict=True)
    return [float(out[candidate.item]) for candidate in candidates]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """How many of the items that the queue brought were wrong."""

    wrong: int
    looked: int


def found(events: Iterable[Event]) -> dict[bool, Found]:
    """What was found among the random places (True) and the ranked ones (False); an item counts once."""
    judged = _judged(events)
    return {
        random: Found(
            wrong=sum(wrong for by_chance, wrong in judged.values() if by_chance == random),
            looked=sum(by_chance == random for by_chance, _ in judged.values()),
        )
        for random in (False, True)
    }


def taken(events: Iterable[Event]) -> int:
    """How many items were decided about that the queue brought."""
    return len(_judged(events))


def _judged(events: Iterable[Event]) -> dict[str, tuple[bool, bool]]:
    """Item that the queue brought -> whether at random, and whether it was wrong; not what was taken back."""
    events, judged = list(events), dict[str, tuple[bool, bool]]()
    out = undone(events)
    for event in events:
        queued = event.shown.get("queued")
        if queued and event.seq not in out:
            random, before = queued == "random", judged.get(event.item, (False, False))[1]
            judged[event.item] = (random, before or corrects(event))
    return judged


def corrects(event: Event) -> bool:
    """True where the person says that what stood there was wrong."""
    if event.kind == "episode.outcome":
        return event.value["success"] != event.shown.get("outcome", event.shown.get("recorded"))
    if event.kind == "label.verdict":
        return bool(event.value["verdict"] == "reject")
    if event.kind == "pair.verdict":
        return bool(event.value["verdict"] != "valid")
    return event.kind in ("label.edit", "label.create", "label.split", "label.merge", "episode.exclude")
