"""What stands on the benchmark's page beside the table: image mode, other people, and the commands that make them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pipelines.markdown import bullets, interval, number, rates, table

if TYPE_CHECKING:
    from robot_io.benchmark.record import RunRecord

Recorded = tuple[Sequence["RunRecord"], Sequence[Mapping[str, Any]]]
"""runs and crashes of one schedule"""
BEYOND = """\
Beyond the table, each by a command of its own, resumable like the rest: two more controls, the fourth and the fifth
seed, camera frames in place of the object tracker, and other people.

```text
regrasp benchmark run --tasks tube_insertion ram_insertion --methods oracle no_recovery --seeds 0 1 2
regrasp benchmark run --tasks pick_eggplant tube_insertion ram_insertion wipe_whiteboard fold_towel \\
    --methods bc hil_serl hil_serl_farl hil_serl_regrasp --seeds 3 4
regrasp benchmark run --images --tasks tube_insertion ram_insertion --methods bc hil_serl hil_serl_regrasp
regrasp benchmark sweep
```
"""
IMAGES = """\
The method does not see the object tracker. In its place stand {latents} numbers of {cameras} ({px} pixels), by a small
convolutional encoder that is trained end to end with a clone of the run's own demonstrations and then frozen. Person,
resets and schedule are those of the table.
"""
PEOPLE = """\
The same runs with another person: how long without progress is a stall (window), the median reaction (delay) and the
share of the signs that are seen (attention), one at a time. The person of the table has {window_s:g} s, {delay_s:g} s
and {attention:g}.
"""


def images_part(recorded: Recorded | None) -> list[str]:
    """Of the page; nothing where there is no record."""
    if recorded is None:
        return []
    from models.networks import LATENT
    from robot_io.benchmark.summary import summary

    runs, crashed = recorded
    found, seeing = summary(runs, crashed), runs[0].config["images"]
    told = IMAGES.format(
        latents=LATENT * len(seeing["cameras"]), cameras=" and ".join(seeing["cameras"]), px=seeing["image_px"]
    )
    crashes = bullets(f"crashed: {c['task']} {c['method']} seed {c['seed']}: {c['error']}" for c in crashed)
    return ["## From camera images\n", told, rates(found["tasks"]), crashes]


def people_part(runs: Sequence[RunRecord], beside: Mapping[str, Recorded]) -> list[str]:
    """Of the page; nothing where there is no record."""
    from robot_io.benchmark.sweep import SETTINGS, sweep_table
    from robot_io.sim import human
    from robot_io.sim.arm import FPS_HZ
    from robot_io.sim.stall import HELP_STEPS

    swept = {s.schedule: beside[s.schedule][0] for s in SETTINGS if s.schedule in beside}
    if not swept:
        return []
    told = PEOPLE.format(window_s=HELP_STEPS / FPS_HZ, delay_s=human.DELAY_MEDIAN_S, attention=human.ATTENTION)
    crashed = [(name, c) for name in swept for c in beside[name][1]]
    crashes = bullets(f"crashed: {n}: {c['task']} {c['method']} seed {c['seed']}: {c['error']}" for n, c in crashed)
    return ["## Other people\n", told, people(sweep_table({"table": runs, **swept})), crashes]


def people(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows of `sweep_table`."""
    head = ("person", "task", "seeds", "IR `hil_serl`", "IR `hil_serl_regrasp`", "IR ratio", "SR difference")
    cells = (
        (
            person(row),
            row["task"],
            len(row["seeds"]),
            number(row["ir_hil_serl"]),
            number(row["ir_hil_serl_regrasp"]),
            interval(row, "ir_ratio"),
            interval(row, "sr_difference"),
        )
        for row in rows
    )
    return table(head, cells)


def person(row: Mapping[str, Any]) -> str:
    """Who it is, in words: `window 2 s`."""
    what, _, unit = row["setting"].partition("_")
    return f"{what} {row['value']:g} {unit}".strip() if what else "the table's"
