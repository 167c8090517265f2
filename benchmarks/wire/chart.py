"""Draws the ratios, a panel for each column, a dot and an interval for each workload."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt

mpl.rcParams |= {"svg.hashsalt": "wire", "font.size": 8, "svg.fonttype": "none"}


def draw(
    file: Path,
    figures: list[dict[str, Any]],
    heading: Callable[[dict[str, Any]], str],
    ratios: Callable[[dict[str, Any]], list[float]],
    interval: Callable[[list[float]], tuple[float, float]],
) -> None:
    """Draw what each column of *figures* has, into *file*."""
    titles = list(dict.fromkeys(title for one in figures for title in one["workloads"]))
    across = min(len(figures), 4)
    down = -(-len(figures) // across)
    drawing, panels = plt.subplots(
        down,
        across,
        figsize=(2 + 2.4 * across, 0.5 + 2.7 * down),
        sharex=True,
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    for panel in panels.flat[len(figures) :]:
        panel.remove()
    for panel, one in zip(panels.flat, figures, strict=False):
        panel.axvline(1, color="black", linewidth=0.8)
        for title, workload in one["workloads"].items():
            values = ratios(workload)
            middle, (low, high) = statistics.median(values), interval(values)
            color = "tab:red" if middle < 0.98 else "tab:blue"
            row = titles.index(title)
            panel.plot([low, high], [row, row], color=color, linewidth=1.5, alpha=0.5)
            panel.plot([middle], [row], "o", color=color, markersize=4)
        panel.set_title(heading(one))
        panel.set_xscale("log")
        panel.set_xticks([0.5, 1, 2, 4, 8, 16], ["½", "1", "2", "4", "8", "16"])
        panel.set_xticks([], minor=True)
        panel.grid(axis="x", alpha=0.3)
    panels[0][0].set_yticks(range(len(titles)), titles)
    panels[0][0].invert_yaxis()
    drawing.supxlabel(
        "asyncio's processor time by the reference's: right of 1, the reference is faster"
    )
    drawing.savefig(file, metadata={"Date": None})
