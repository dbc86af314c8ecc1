"""Small pictures for the metadata of an asset: a few kilobytes of PNG each, drawn without a display."""

from __future__ import annotations

import io
from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from episodes.record import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SIZE_IN, DPI = (4.8, 2.4), 72
SUCCESS, FAILURE, OTHER = "#0072B2", "#D55E00", "#5F6B7A"
"""told apart without seeing red and green, as in the labeling app"""


def curves(groups: Mapping[str, Sequence[Array]], ylabel: str) -> bytes:
    """Curves (T,) over the share of the episode that is over, thin lines, one colour a group."""

    def draw(axes: Axes) -> None:
        colours = {"success": SUCCESS, "failure": FAILURE}
        for name, lines in groups.items():
            colour = colours.get(name, OTHER)
            for line in lines:
                axes.plot(np.linspace(0, 1, len(line)), line, color=colour, alpha=0.35, linewidth=0.8)
            axes.plot([], [], color=colour, label=f"{name} ({len(lines)})")
        axes.set_xlabel("share of the episode")
        axes.set_ylabel(ylabel)
        axes.legend(frameon=False, fontsize=7)

    return _png(draw)


def learning(curves: Mapping[str, Sequence[tuple[Array, Array]]], ylabel: str) -> bytes:
    """Lines (step, share) of the benchmark: one colour a method, one line a seed."""

    def draw(axes: Axes) -> None:
        for number, (name, lines) in enumerate(curves.items()):
            for seed, (steps, shares) in enumerate(lines):
                label = None if seed else f"{name} ({len(lines)})"
                axes.plot(steps, shares, color=f"C{number}", linewidth=0.9, marker=".", markersize=3, label=label)
        axes.set_ylim(-0.03, 1.03)
        axes.set_xlabel("steps of training")
        axes.set_ylabel(ylabel)
        axes.legend(frameon=False, fontsize=7)

    return _png(draw)


def descent(curves: Mapping[str, tuple[Array, Array, Array]]) -> bytes:
    """Steps, loss and validation loss (NaN where none was taken) of each net, on a logarithmic scale of the loss."""

    def draw(axes: Axes) -> None:
        for number, (name, (steps, losses, validation)) in enumerate(curves.items()):
            axes.plot(steps, losses, color=f"C{number}", linewidth=0.9, label=name)
            axes.plot(steps, validation, color=f"C{number}", linewidth=0.9, linestyle="--")
        axes.set_yscale("symlog", linthresh=1e-3)
        axes.set_xlabel("steps of training")
        axes.set_ylabel("loss (dashed: validation)")
        axes.legend(frameon=False, fontsize=5)

    return _png(draw)


def bars(heights: Mapping[str, float], ylabel: str, limit: float | None = None) -> bytes:
    """One bar a name, with a dashed line at `limit`."""

    def draw(axes: Axes) -> None:
        axes.bar(list(heights), list(heights.values()), color=OTHER, width=0.6)
        if limit is not None:
            axes.axhline(limit, color=FAILURE, linestyle="--", linewidth=0.8)
        axes.set_ylabel(ylabel)
        axes.tick_params(axis="x", labelrotation=15)

    return _png(draw)


def histogram(values: Sequence[float], xlabel: str, limit: float) -> bytes:
    """How many episodes have which value of a share, 0 to 1, with a dashed line at `limit`."""

    def draw(axes: Axes) -> None:
        axes.hist(values, bins=np.linspace(0, 1, 41), color=OTHER)
        axes.axvline(limit, color=FAILURE, linestyle="--", linewidth=0.8)
        axes.set_xlabel(xlabel)
        axes.set_ylabel("episodes")

    return _png(draw)


def markdown(png: bytes) -> str:
    """A picture as Markdown that carries its bytes."""
    return f"![](data:image/png;base64,{b64encode(png).decode()})"


def _png(draw: object) -> bytes:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=SIZE_IN, dpi=DPI, layout="constrained")
    axes = figure.add_subplot()
    axes.tick_params(labelsize=7)
    axes.spines[["top", "right"]].set_visible(False)
    draw(axes)  # type: ignore[operator]
    buffer = io.BytesIO()
    FigureCanvasAgg(figure).print_png(buffer)
    return buffer.getvalue()
