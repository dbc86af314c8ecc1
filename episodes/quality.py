"""How good one episode is to learn from: the figures, and what they mean.

Motion is measured in `episodes.motion`, frames in `episodes.footage`, sensors and clocks in `episodes.sensing` and
`episodes.validation`; this module judges the figures.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from episodes import layout
from episodes.findings import Finding, Quality, Verdict
from episodes.footage import BLIND, CameraQuality, Standing, examine_camera, standing
from episodes.motion import Motion, motion_of, state_diversity, tremble
from episodes.record import ActionSource, Array, Episode
from episodes.sensing import clipped, dropped
from episodes.validation import QUATERNION_ERROR, QUATERNION_WARNING, gaps, outside_limits, quaternion_error

TREMBLE = 0.5
"""Bridge's arm at 5 Hz has 0.14 to 0.40, a simulated one 0.03 to 0.13; noise as large as the motion gives 0.6"""
MOVING_STEPS = 5
"""an arm that moves in fewer steps has no tremble to speak of"""
IDLE = 0.95
"""robosuite's Lift, shown by people who succeed, gets no command in up to 0.93 of its steps, and stands in 0.47"""
RESTING = 1e-4
"""metres or radians: a state that varies less was never moved, or is not connected"""
VISUAL_DIVERSITY = 0.5
"""grey levels; the stillest usable episode seen here (an arm in a 64 px picture) has 1.3"""
SOFT = 0.5
"""of the session's usual sharpness of that camera: one 3 x 3 blur takes it to 0.36 (GreenVLA's measure on noise)"""
FROZEN_S = 1.0
"""the arm moves and the picture does not for so long: a camera slower than the steps repeats a frame or two"""
REPEATED = 0.5
"""share of moving steps with the frame of the step before: more, and the camera has less than half the steps' rate"""
CLIPPED = 0.01
"""share of steps; a single contact at the sensor's limit is over it in an episode of ten seconds"""
DROPPED = 0.02
"""share of steps that are missing: LeRobot's own recorders warn from the first; the odd one does no harm"""
BAD_STAMPS = 0.05
"""share of repeated and backward stamps: up to it, the times of receipt that replace them are good to a step"""
OUTSIDE = 0.0
"""share of actions outside the declared limits: there is no reason for any"""
SESSION_EPISODES = 5
"""fewer have no usual sharpness"""
SESSION_DEFECTS = ("soft_camera", "constant_flag")


def examine(episode: Episode) -> Quality:
    """Every figure of the episode, and what can be said of it without knowing others. Frames are decoded one by one."""
    mismatched = [problem for problem in layout.problems(episode) if problem.kind == "length_mismatch"]
    if mismatched:
        lost = Finding(defect="length_mismatch", verdict="exclude", reason=mismatched[0].message, key=mismatched[0].key)
        return Quality(steps=len(episode), length_mismatches=len(mismatched), findings=(lost,))
    motion = motion_of(episode)
    figures: dict[str, Any] = {}
    if episode.collection == "takeover":
        figures["human_share"] = float((episode.action_source == ActionSource.HUMAN).mean())
    found: list[Finding] = []
    for part in (_motion(motion), _wrench(episode), _time(episode), _actions(episode), _pose(episode)):
        _gather(part, figures, found)
    _gather(_cameras(episode, motion), figures, found)
    return Quality(steps=len(episode), **figures, findings=tuple(found))


def in_session(episodes: Sequence[Quality], *, flag_lost: bool = False) -> list[Quality]:
    """The episodes of a session with what only shows beside the others: a soft picture, and a dead intervention flag.

    `flag_lost`: validation found that the flag of the session's takeovers says nothing.
    """
    usual = _usual_sharpness(episodes)
    out = []
    for quality in episodes:
        own = [finding for finding in quality.findings if finding.defect not in SESSION_DEFECTS]
        if flag_lost and quality.human_share is not None:
            who = "always" if quality.human_share else "never"
            reason = f"the person is {who} in control, as in the whole session: the intervention flag says nothing"
            own.append(Finding(defect="constant_flag", verdict="weight", reason=reason, key="action_source"))
        own += [finding for camera in quality.cameras for finding in _soft(camera, usual.get(camera.camera, 0.0))]
        out.append(replace(quality, findings=tuple(own)))
    return out


def _usual_sharpness(episodes: Sequence[Quality]) -> dict[str, float]:
    """Camera -> median sharpness over the session's episodes in which it sees; too few have no usual."""
    found: dict[str, list[float]] = {}
    for camera in (camera for quality in episodes for camera in quality.cameras):
        if camera.sharpness > 0 and camera.sees:
            found.setdefault(camera.camera, []).append(camera.sharpness)
    return {name: float(np.median(values)) for name, values in found.items() if len(values) >= SESSION_EPISODES}


def _soft(camera: CameraQuality, usual: float) -> Iterator[Finding]:
    if camera.sharpness < SOFT * usual and camera.sees:
        share = camera.sharpness / usual
        reason = f"camera {camera.camera} is soft: {share:.0%} of the session's usual sharpness"
        step = camera.softest_step
        yield Finding(defect="soft_camera", verdict="weight", reason=reason, key=camera.camera, step=step)


Part = Iterator[Mapping[str, Any] | Finding]
"""figures by name, and what they say"""


def _gather(part: Part, figures: dict[str, Any], found: list[Finding]) -> None:
    for one in part:
        if isinstance(one, Finding):
            found.append(one)
        else:
            figures.update(one)


def _motion(motion: Motion | None) -> Part:
    if motion is None:
        return
    idle, spread = float(motion.idle.mean()), state_diversity(motion)
    yield {"idle_share": idle, "state_diversity": spread}
    if spread < RESTING:
        yield Finding(defect="resting", verdict="exclude", reason="the arm never moves, or its state is not connected")
    elif idle > IDLE:
        start = int(np.argmax(motion.idle))
        yield Finding(defect="idle", verdict="weight", reason=f"the arm stands still in {idle:.0%} of it", step=start)
    if (~motion.idle).sum() >= MOVING_STEPS:
        share = tremble(motion)
        mean = float(np.nanmean(share))
        yield {"tremble": mean}
        if mean > TREMBLE:
            worst = int(np.argmax(np.nan_to_num(share).sum(axis=1)))
            reason = f"the arm trembles: {mean:.2f} where it moves, {TREMBLE:g} is much"
            yield Finding(defect="tremble", verdict="weight", reason=reason, key="velocity", step=worst)


def _wrench(episode: Episode) -> Part:
    wrench = episode.wrench
    if wrench is None or len(wrench) < 2:
        return
    dead = int((np.ptp(wrench, axis=0) == 0).sum())
    at_limit = clipped(wrench)
    yield {"dead_axes": dead, "clipped_share": float(at_limit.mean())}
    if dead == wrench.shape[1]:
        reason = "the wrench never changes: the sensor was off or not connected"
        yield Finding(defect="dead_wrench", verdict="weight", reason=reason, key="wrench")
    elif dead:
        reason = f"{dead} of {wrench.shape[1]} axes of the wrench never change"
        yield Finding(defect="dead_axes", verdict="keep", reason=reason, key="wrench")
    if at_limit.mean() > CLIPPED:
        reason = f"the wrench stands at a limit of the sensor in {at_limit.mean():.0%} of it"
        step = int(np.argmax(at_limit))
        yield Finding(defect="clipped_wrench", verdict="weight", reason=reason, key="wrench", step=step)


def _time(episode: Episode) -> Part:
    bad = sum(episode.source_time_defects.values())
    holes, missing = gaps(episode.time_s), dropped(episode.time_s)
    share = float(missing.sum()) / (len(episode) + float(missing.sum()))
    yield {"bad_stamps": bad, "gaps": len(holes), "dropped_share": share}
    if bad:
        told = ", ".join(f"{count} {kind}" for kind, count in sorted(episode.source_time_defects.items()) if count)
        verdict: Verdict = "weight" if bad > BAD_STAMPS * len(episode) else "keep"
        yield Finding(defect="bad_stamps", verdict=verdict, reason=f"the source's stamps: {told}", key="time_s")
    if len(holes):
        longest = int(holes[np.argmax(np.diff(episode.time_s)[holes])])
        reason = f"{len(holes)} gaps, the longest {np.diff(episode.time_s)[longest]:.2g} s"
        yield Finding(defect="gap", verdict="weight", reason=reason, key="time_s", step=longest)
    if share > DROPPED:
        reason = f"{share:.0%} of the steps are missing"
        yield Finding(
            defect="dropped_steps", verdict="weight", reason=reason, key="time_s", step=int(np.argmax(missing > 0))
        )


def _actions(episode: Episode) -> Part:
    if episode.executed_action is None:
        return
    try:
        outside = outside_limits(episode.executed_action, episode.action_space.get("limits", ()))
    except (ValueError, TypeError):  # validation names it
        return
    if outside is not None:
        yield {"outside_share": float(outside.mean())}
        if outside.mean() > OUTSIDE:
            reason = f"{int(outside.sum())} of {len(outside)} actions are outside the declared limits"
            step = int(np.argmax(outside))
            yield Finding(defect="outside_limits", verdict="weight", reason=reason, key="executed_action", step=step)


def _pose(episode: Episode) -> Part:
    if episode.ee_pose is None:
        return
    off = quaternion_error(episode.ee_pose)
    step, worst = int(np.argmax(off)), float(off.max())
    yield {"quaternion_error": worst}
    if worst > QUATERNION_WARNING:
        verdict: Verdict = "exclude" if worst > QUATERNION_ERROR else "keep"
        reason = f"a quaternion is off unit length by {worst:.2g}"
        yield Finding(defect="quaternion_norm", verdict=verdict, reason=reason, key="ee_pose", step=step)


def _cameras(episode: Episode, motion: Motion | None) -> Part:
    cameras = tuple(examine_camera(name, frames) for name, frames in sorted(episode.images.items()))
    if not cameras:
        return
    sighted = sum(camera.sees for camera in cameras)
    yield {"cameras": cameras}
    for camera in cameras:
        yield from _seen(camera, sighted)
    moving = _moving(motion, len(episode))
    seeing = {c.camera: standing(episode.images[c.camera], episode.time_s, moving) for c in cameras if c.sees}
    if seeing:
        longest_s, share = (max(getattr(still, name) for still in seeing.values()) for name in ("longest_s", "share"))
        yield {"repeated_share": share, "frozen_s": longest_s}
    for name, still in seeing.items():
        yield from _frozen(name, still)


def _seen(camera: CameraQuality, sighted: int) -> Iterator[Finding]:
    """Blank, black, damaged and uniform frames. A camera that others make up for can be left out of training."""
    name, step = camera.camera, max(camera.defect_step, 0)
    if camera.undecodable:
        reason = f"{camera.undecodable} of {camera.sampled} frames of camera {name} cannot be decoded"
        yield Finding(defect="damaged_frames", verdict="exclude", reason=reason, key=name, step=step)
    whole: Verdict = "keep" if sighted else "exclude"
    for defect, share in (("blank", camera.blank_share), ("black", camera.black_share)):
        what = "shows one colour only" if defect == "blank" else "is black"
        reason = f"camera {name} {what} in {share:.0%} of the frames looked at"
        if share >= BLIND:
            advice = "train without it" if sighted else "there is no other"
            yield Finding(defect=f"{defect}_camera", verdict=whole, reason=f"{reason}; {advice}", key=name, step=step)
        elif share:
            yield Finding(defect=f"{defect}_frames", verdict="weight", reason=reason, key=name, step=step)
    if camera.visual_diversity < VISUAL_DIVERSITY and camera.sees:
        reason = f"camera {name} hardly changes: {camera.visual_diversity:.2g} grey levels"
        yield Finding(defect="still_camera", verdict="keep", reason=reason, key=name)


def _moving(motion: Motion | None, length: int) -> Array:
    """(T,) whether the arm moved since the step before; always, where nobody knows."""
    moving = np.ones(length, bool)
    if motion is not None:
        moving[1:] = False
        moving[1 : 1 + len(motion.idle)] = ~motion.idle
    return moving


def _frozen(name: str, still: Standing) -> Iterator[Finding]:
    if still.longest_s > FROZEN_S:
        reason = f"camera {name} stands still for {still.longest_s:.1f} s while the arm moves"
        yield Finding(defect="frozen_frames", verdict="weight", reason=reason, key=name, step=still.step)
    elif still.share > REPEATED:
        reason = f"camera {name} repeats {still.share:.0%} of its frames: it is slower than the steps"
        yield Finding(defect="repeated_frames", verdict="keep", reason=reason, key=name, step=still.step)
