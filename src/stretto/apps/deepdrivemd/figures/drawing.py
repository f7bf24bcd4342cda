"""Figures from values: SVG text, drawn by matplotlib without any state of its own between calls.

Colours are told apart by the colour-blind (those of Okabe and Ito, and *cividis* for densities),
and runs by their line as well.  Text is drawn as paths, so a figure looks alike everywhere.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from stretto.apps.deepdrivemd.arguments import extra
from stretto.apps.deepdrivemd.figures.ages import Ages
from stretto.apps.deepdrivemd.figures.densities import Density
from stretto.apps.deepdrivemd.figures.progress import Curve, Progress
from stretto.apps.deepdrivemd.figures.runs import Learning

__all__ = ["draw_ages", "draw_densities", "draw_losses", "draw_progress"]

_PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#882255", "#5b6470")
_LINES = ("-", "--", "-.", ":")
_NEUTRAL, _PALE = "#8a8f98", "#d5d9df"
_MARK = "#d55e00"
_WIDTH_IN = 10.4
_STYLE = {
    "axes.axisbelow": True,
    "axes.edgecolor": "#5b6470",
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "grid.color": "#e9ecf0",
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "svg.fonttype": "path",
    "svg.hashsalt": "stretto",
    "text.parse_math": False,
}
_QUANTITIES = ("cells", "rmsd_nm", "native_contacts")
_LABELS = {
    "cells": "cells visited",
    "rmsd_nm": "least RMSD (nm)",
    "native_contacts": "most native contacts, Q",
}
_TITLES = {
    "cells": "Coverage",
    "rmsd_nm": "Nearest to the reference so far",
    "native_contacts": "Native contacts so far",
}
_PS = ((1.0, "ps"), (1e3, "ns"), (1e6, "µs"), (1e9, "ms"))
_SECONDS = ((1.0, "s"), (60.0, "min"), (3600.0, "h"), (86400.0, "d"))
_MOST_AGES = 5
"""Ages that have a colour of their own; all older ones share the last."""


def draw_progress(found: Mapping[str, Progress]) -> str | None:
    """Return each quantity against simulated and wall time, a curve a run; `None` without any.

    Parameters
    ----------
    found
        By the name of the run, in the order of the legend.
    """
    quantities = [
        name for name in _QUANTITIES if any(name in one.by_simulated for one in found.values())
    ]
    if not quantities:
        return None

    def drawn(figure: Any) -> None:
        grid = figure.subplots(len(quantities), 2, sharey="row", squeeze=False)
        for column, (clock, units, words) in enumerate(
            (("by_simulated", _PS, "aggregate simulated time"), ("by_wall", _SECONDS, "wall time"))
        ):
            for axes, name in zip(grid[:, column], quantities, strict=True):
                curves = {
                    run: getattr(one, clock)[name]
                    for run, one in found.items()
                    if name in getattr(one, clock)
                }
                _draw_curves(axes, curves, list(found), units, words)
                if column == 0:
                    axes.set_title(_TITLES[name])
                    axes.set_ylabel(_LABELS[name])
                    axes.yaxis.get_major_locator().set_params(integer=name == "cells")
        handles = [_line(number, run) for number, run in enumerate(found)]
        figure.legend(handles=handles, loc="outside upper left", ncols=min(3, len(handles)))

    return _svg(drawn, 0.5 + 2.3 * len(quantities) + 0.22 * -(-len(found) // 3))


def draw_densities(found: Sequence[Density], *, kind: str) -> str | None:
    """Return a panel an iteration, dark where few frames are, chosen ones marked; `None` if none.

    Parameters
    ----------
    found
        The iterations.
    kind
        What the frames of a panel are, such as ``"frames of the iteration"``.
    """
    if not found:
        return None
    columns = 4
    rows = -(-len(found) // columns)

    def drawn(figure: Any) -> None:
        grid = figure.subplots(rows, columns, squeeze=False).ravel()
        images = [_draw_density(axes, one) for axes, one in zip(grid, found, strict=False)]
        for axes in grid[len(found) :]:
            axes.set_axis_off()
        most = max(image.norm.vmax for image in images)
        for image in images:
            image.norm.vmax = most
        bar = figure.colorbar(images[-1], ax=grid.tolist(), shrink=0.8, pad=0.01, aspect=30)
        bar.set_label(f"{kind} in a cell")

    return _svg(drawn, 0.4 + 2.35 * rows)


def draw_losses(found: Mapping[int, Learning]) -> str | None:
    """Return loss curves one after another, by whose model each went on from; `None` if none."""
    learnt = dict(sorted(found.items()))
    if not any(one.loss is not None and one.loss.updates for one in learnt.values()):
        return None

    def drawn(figure: Any) -> None:
        axes = figure.subplots()
        begin, least = 0.0, np.inf
        usual = max(one.loss.updates[-1] for one in learnt.values() if one.loss is not None)
        for iteration, one in learnt.items():
            end = begin + usual
            if one.loss is None or not one.loss.updates:
                axes.axvspan(begin, end, color=_PALE, lw=0)
            else:
                end = begin + one.loss.updates[-1]
                _draw_loss(axes, one, begin)
                least = min(least, *one.loss.training, *(one.loss.validation or (np.inf,)))
            axes.axvline(begin, color=_NEUTRAL, lw=0.8)
            words = f" iteration {iteration}\n {_parentage(one)}"
            axes.text(
                begin, 1.0, words, transform=axes.get_xaxis_transform(), va="bottom", fontsize=8
            )
            begin = end
        axes.set_xlim(0, begin)
        if least > 0:
            axes.set_yscale("log")
        axes.set_xlabel("updates of the weights, all iterations")
        axes.set_ylabel("loss")
        axes.legend(
            handles=[
                _line(0, "training"),
                _line(1, "validation, frames never learnt from"),
            ],
            loc="upper right",
        )

    return _svg(drawn, 3.2)


def draw_ages(found: Mapping[str, Sequence[Ages]]) -> str | None:
    """Return how old the model was that chose each start, a panel a run; `None` without starts."""
    shown = {name: one for name, one in found.items() if one}
    if not shown:
        return None
    columns = min(2, len(shown))
    rows = -(-len(shown) // columns)

    def drawn(figure: Any) -> None:
        grid = figure.subplots(rows, columns, squeeze=False, sharey=True).ravel()
        kinds: dict[str, Any] = {}
        for axes, (name, own) in zip(grid, shown.items(), strict=False):
            kinds |= _draw_ages(axes, own)
            axes.set_title(name)
        for axes in grid[len(shown) :]:
            axes.set_axis_off()
        for axes in grid[::columns]:
            axes.set_ylabel("simulations")
        ordered = [kinds[name] for name in sorted(kinds)]
        figure.legend(handles=ordered, loc="outside upper left", ncols=min(4, len(ordered)))

    return _svg(drawn, 0.6 + 2.2 * rows)


def _svg(draw: Callable[[Any], None], height_in: float) -> str:
    with extra("matplotlib").rc_context(_STYLE):
        size = (_WIDTH_IN, height_in)
        figure = extra("matplotlib.figure").Figure(figsize=size, layout="constrained", dpi=150)
        extra("matplotlib.backends.backend_svg").FigureCanvasSVG(figure)
        draw(figure)
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()


def _line(number: int, label: str) -> Any:
    """Return a line that is not drawn, for legends, with the look of curve `number`."""
    return extra("matplotlib.lines").Line2D([], [], label=label, **_look(number))


def _look(number: int) -> dict[str, Any]:
    turn = number // len(_PALETTE) + number
    return {
        "color": _PALETTE[number % len(_PALETTE)],
        "linestyle": _LINES[turn % len(_LINES)],
    }


def _unit(units: Sequence[tuple[float, str]], most: float) -> tuple[float, str]:
    """Return the largest unit of which there are at least two, or the smallest."""
    return next((unit for unit in reversed(units) if most >= 2 * unit[0]), units[0])


def _draw_curves(
    axes: Any,
    curves: Mapping[str, Curve],
    runs: Sequence[str],
    units: Sequence[tuple[float, str]],
    words: str,
) -> None:
    most = max((float(curve.times[-1]) for curve in curves.values()), default=0.0)
    length, unit = _unit(units, most)
    for run, curve in curves.items():
        axes.step(
            curve.times / length, curve.values, where="post", alpha=0.9, **_look(runs.index(run))
        )
        axes.plot(
            curve.times[-1] / length,
            curve.values[-1],
            marker="o",
            ms=4,
            color=_look(runs.index(run))["color"],
        )
    axes.set_xlabel(f"{words} ({unit})")
    axes.set_xlim(left=0)
    if not curves:
        axes.text(0.5, 0.5, "not known", transform=axes.transAxes, ha="center", color=_NEUTRAL)


def _draw_density(axes: Any, density: Density) -> Any:
    if density.torsions:
        bins, spans = 72, [(-180.0, 180.0)] * 2
    else:
        low, high = density.points.min(axis=0), density.points.max(axis=0)
        margin = np.maximum((high - low) * 0.05, 1e-6)
        bins = 60
        spans = list(zip((low - margin).tolist(), (high + margin).tolist(), strict=True))
    across, along = density.points.T
    counts, x_edges, y_edges = np.histogram2d(across, along, bins=bins, range=spans)
    image = axes.imshow(
        np.ma.masked_equal(counts.T, 0),
        origin="lower",
        extent=(x_edges[0], x_edges[-1], y_edges[0], y_edges[-1]),
        aspect="auto",
        interpolation="nearest",
        cmap="cividis",
        norm=extra("matplotlib.colors").LogNorm(1, max(2, counts.max())),
    )
    axes.scatter(*density.chosen.T, s=34, marker="X", c=_MARK, edgecolors="white", linewidths=0.8)
    axes.set_title(f"iteration {density.iteration}")
    if density.torsions:
        ticks = (-180, -90, 0, 90, 180)
        axes.set(xticks=ticks, yticks=ticks, xlabel="φ (degrees)", ylabel="ψ (degrees)")
    else:
        axes.set(xlabel="first component", ylabel="second component")
    axes.label_outer()
    return image


def _draw_loss(axes: Any, learnt: Learning, begin: float) -> None:
    assert learnt.loss is not None
    times = begin + np.array(learnt.loss.updates)
    for number, values in enumerate((learnt.loss.training, learnt.loss.validation)):
        if len(values) == len(times):
            axes.plot(times, values, **_look(number))


def _parentage(learnt: Learning) -> str:
    if learnt.fell_back:
        return f"fell back on model {learnt.trained_in}"
    return "begun anew" if learnt.parent is None else f"goes on from model {learnt.parent}"


def _draw_ages(axes: Any, found: Sequence[Ages]) -> dict[str, Any]:
    """Draw a bar an iteration and return what is in it, by what legends say."""
    ramp = extra("matplotlib").colormaps["cividis"]
    layers: dict[str, tuple[Any, list[int]]] = {}
    oldest = max((age for one in found for age in one.by_age), default=-1)
    for age in range(min(0, *(age for one in found for age in one.by_age), 0), oldest + 1):
        words = f"model {age} iteration{'' if age == 1 else 's'} old"
        colour = ramp(min(max(age, 0), _MOST_AGES) / _MOST_AGES)
        layers[words] = (colour, [one.by_age.get(age, 0) for one in found])
    layers["no model: drawn, or went on"] = (_NEUTRAL, [one.without_model for one in found])
    layers["no choice: began with the structure"] = (_PALE, [one.not_chosen for one in found])
    base = np.zeros(len(found))
    handles = {}
    for words, (colour, heights) in layers.items():
        if any(heights):
            bars = axes.bar(
                [one.iteration for one in found], heights, bottom=base, color=colour, label=words
            )
            handles[words] = bars
            base += heights
    axes.set_xlabel("iteration")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.yaxis.get_major_locator().set_params(integer=True)
    axes.grid(visible=False, axis="x")
    return handles
