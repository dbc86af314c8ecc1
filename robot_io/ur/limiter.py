"""One coordinate of what is sent, kept between walls and within speed, acceleration and jerk, whatever is asked for.

A state is viable when braking from it, as hard as is always possible, stops before the wall and never exceeds the
speed. Braking is simulated cycle by cycle, as it would be done, so a viable state has a viable next one: at worst that
of braking. Each cycle takes of the accelerations that the jerk allows the one nearest to what follows the target, among
those that lead to a viable state; so any between it and that of braking leads to one, too. Far from a target that
follows is to approach it no faster than sqrt(A e), from where braking at A / 2 just suffices, and than a share of
cbrt(J e^2), from where the jerk does.

Discrete: a' within [a - J dt, a + J dt] and [-A, A], v' = v + a' dt, x' = x + v' dt. m or rad, s.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import copysign, sqrt

HALVINGS = 12
APPROACH = 0.7


@dataclass(frozen=True, slots=True)
class Bounds:
    """Of one coordinate."""

    low: float
    high: float
    speed: float
    acceleration: float
    jerk: float
    braking: float
    """the acceleration that is there at any time to stop with, no more than the other"""

    def mirrored(self) -> Bounds:
        """The same, seen from the other side."""
        return replace(self, low=-self.high, high=-self.low)

    def gentle(self) -> Bounds:
        """The same, with no more acceleration than is always there."""
        return replace(self, acceleration=self.braking)


@dataclass(frozen=True, slots=True)
class Moving:
    """Where a coordinate is, and how it moves."""

    x: float
    v: float = 0.0
    a: float = 0.0

    def after(self, a: float, dt_s: float) -> Moving:
        """A cycle later, with this acceleration."""
        v = self.v + a * dt_s
        return Moving(self.x + v * dt_s, v, a)

    def mirrored(self) -> Moving:
        """The same, seen from the other side."""
        return Moving(-self.x, -self.v, -self.a)


def limited(now: Moving, wanted: float | None, wanted_v: float, bounds: Bounds, dt_s: float) -> Moving:
    """The coordinate a cycle later. `wanted` is where it is to be by then, and moves at `wanted_v`; None brakes."""
    step = bounds.jerk * dt_s
    least, most = _downward(now.a, step, bounds.acceleration), -_downward(-now.a, step, bounds.acceleration)
    aim = min(max((_speed(now, wanted, wanted_v, bounds, dt_s) - now.v) / dt_s, least), most)
    aim = _nearest(now, aim, least, bounds, dt_s)
    return now.after(-_nearest(now.mirrored(), -aim, -most, bounds.mirrored(), dt_s), dt_s)


def between(gentle: Moving, full: Moving, now: Moving, share: float, dt_s: float) -> Moving:
    """A cycle after `now`, between two ways to go on: with 0 the first, with 1 the second."""
    return full if share == 1.0 else now.after(gentle.a + share * (full.a - gentle.a), dt_s)


def _downward(a: float, step: float, most: float) -> float:
    """The least acceleration after `a`: a step of it less, or what there is at most, which may be a step away."""
    return max(a - step, min(-most, a + step))


def _speed(now: Moving, wanted: float | None, wanted_v: float, bounds: Bounds, dt_s: float) -> float:
    """How fast to go towards what is wanted, were there no limits but the approach."""
    if wanted is None:
        return 0.0
    follows = wanted_v if abs(wanted_v) <= bounds.speed else 0.0
    closes = (wanted - now.x) / dt_s - follows
    left = abs(closes) * dt_s
    most = min(sqrt(bounds.acceleration * left), APPROACH * (bounds.jerk * left * left) ** (1.0 / 3.0))
    return follows + copysign(min(abs(closes), most), closes)


def _nearest(now: Moving, aim: float, brake: float, bounds: Bounds, dt_s: float) -> float:
    """The acceleration nearest to `aim`, from `brake` on, whose next state can still stop before the upper wall."""
    if stops(now.after(aim, dt_s), bounds, dt_s):
        return aim
    good, bad = brake, aim
    for _ in range(HALVINGS):
        middle = 0.5 * (good + bad)
        if stops(now.after(middle, dt_s), bounds, dt_s):
            good = middle
        else:
            bad = middle
    return good


def stops(now: Moving, bounds: Bounds, dt_s: float) -> bool:
    """Whether braking as it always can stops it before the upper wall, never faster than the speed."""
    x, v, a = now.x, now.v, now.a
    step = bounds.jerk * dt_s
    while v > 0.0 or a > 0.0:
        if x > bounds.high or v > bounds.speed:
            return False
        a = _downward(a, step, bounds.braking)
        v += a * dt_s
        x += v * dt_s
    return x <= bounds.high and v <= bounds.speed
