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
_WIDTH_IN = 10.8
_PANEL_IN, _MARGIN_IN = 2.45, 1.2
_TICKS_IN = 0.2
"""Width of the numbers along an axis, where each panel has its own."""
_COLUMNS = 4
_MOST_WORDS = 7
"""Iterations above whose loss curves there is room for more than a number."""
_MOST_NUMBERS = 40
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
_AGES = ("#0072b2", "#56b4e9", "#e69f00", "#d55e00", "#882255")
"""Colours of models by age; all older ones share the last."""
_LAST = 1_000_000
"""Place in a legend behind all ages."""


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
    columns = min(_COLUMNS, len(found))
    rows = -(-len(found) // columns)

    def drawn(figure: Any) -> None:
        grid = figure.subplots(rows, columns, squeeze=False).ravel()
        images = [_draw_density(axes, one) for axes, one in zip(grid, found, strict=False)]
        for number, axes in enumerate(grid):
            if number >= len(found):
                axes.set_axis_off()
            elif found[number].torsions:
                # Axes that are all alike are labelled where nothing stands below, or to the left.
                axes.tick_params(labelleft=number % columns == 0)
                axes.tick_params(labelbottom=number + columns >= len(found))
            if number % columns:
                axes.set_ylabel("")
            if number + columns < len(found):
                axes.set_xlabel("")
        most = max(image.norm.vmax for image in images)
        for image in images:
            image.norm.vmax = most
        shown = grid[: len(found)].tolist()
        bar = figure.colorbar(images[-1], ax=shown, shrink=0.9, pad=0.02, aspect=25, format=_plain)
        # Steps between powers of ten have labels where there is one power only; as matplotlib
        # would have them they are formulas, which SVG has not.
        ticker = extra("matplotlib.ticker")
        few = ticker.FuncFormatter(_plain) if most <= 10 else ticker.NullFormatter()
        bar.ax.yaxis.set_minor_formatter(few)
        bar.set_label(f"{kind} in a cell")

    width_in = _PANEL_IN + (0 if found[0].torsions else _TICKS_IN)
    return _svg(drawn, 0.3 + _PANEL_IN * rows, _MARGIN_IN + width_in * columns)


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
            words = _above(iteration, one, len(learnt))
            place = axes.get_xaxis_transform()
            axes.text(begin, 1.01, words, transform=place, va="bottom", fontsize=8)
            begin = end
        axes.set_xlim(0, begin)
        if least > 0:
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter(_plain)
            axes.yaxis.set_minor_formatter(_few)
        axes.set_xlabel("updates of the weights, all iterations")
        axes.set_ylabel("loss")
        axes.legend(
            handles=[
                _line(0, "training"),
                _line(1, "validation, frames never learnt from"),
            ],
            loc="upper right",
            frameon=True,
            framealpha=1,
            edgecolor="none",
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
        kinds: dict[tuple[int, str], Any] = {}
        for axes, (name, own) in zip(grid, shown.items(), strict=False):
            kinds |= _draw_ages(axes, own)
            axes.set_title(name)
        for axes in grid[len(shown) :]:
            axes.set_axis_off()
        for axes in grid[::columns]:
            axes.set_ylabel("simulations")
        ordered = [kinds[key] for key in sorted(kinds)]
        figure.legend(handles=ordered, loc="outside upper left", ncols=min(4, len(ordered)))

    return _svg(drawn, 0.6 + 2.2 * rows)


def _svg(draw: Callable[[Any], None], height_in: float, width_in: float = _WIDTH_IN) -> str:
    with extra("matplotlib").rc_context(_STYLE):
        size = (width_in, height_in)
        figure = extra("matplotlib.figure").Figure(figsize=size, layout="constrained", dpi=150)
        extra("matplotlib.backends.backend_svg").FigureCanvasSVG(figure)
        draw(figure)
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()


def _plain(value: float, _: int | None = None) -> str:
    """Return a tick's label; on logarithmic axes too without powers."""
    return f"{value:g}"


def _few(value: float, _: int | None = None) -> str:
    """Return the label of a tick between powers of ten: of 2 and 5 only, or they would touch."""
    return f"{value:g}" if f"{value:e}"[0] in "25" else ""


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
        zorder=1,
        cmap="cividis",
        norm=extra("matplotlib.colors").LogNorm(1, max(2, counts.max())),
    )
    axes.scatter(
        *density.chosen.T, s=34, marker="X", c=_MARK, edgecolors="white", linewidths=0.8, zorder=2
    )
    axes.set_title(f"iteration {density.iteration}")
    if density.torsions:
        ticks = (-120, 0, 120)
        axes.set(xticks=ticks, yticks=ticks, xlabel="φ (degrees)", ylabel="ψ (degrees)")
    else:
        axes.set(xlabel="first component", ylabel="second component")
        axes.locator_params(nbins=4)
    return image


def _draw_loss(axes: Any, learnt: Learning, begin: float) -> None:
    assert learnt.loss is not None
    times = begin + np.array(learnt.loss.updates)
    for number, values in enumerate((learnt.loss.training, learnt.loss.validation)):
        if len(values) == len(times):
            axes.plot(times, values, **_look(number))


def _above(iteration: int, learnt: Learning, n_iterations: int) -> str:
    """Return what stands above a loss curve: less, the less room there is."""
    if n_iterations <= _MOST_WORDS:
        return f" iteration {iteration}\n {_parentage(learnt)}"
    if learnt.fell_back or (learnt.parent is None and iteration):
        return f" {iteration}\n {_parentage(learnt)}"
    return f" {iteration}" if iteration % -(-n_iterations // _MOST_NUMBERS) == 0 else ""


def _parentage(learnt: Learning) -> str:
    if learnt.fell_back:
        return f"fell back on model {learnt.trained_in}"
    return "begun anew" if learnt.parent is None else f"goes on from model {learnt.parent}"


def _draw_ages(axes: Any, found: Sequence[Ages]) -> dict[tuple[int, str], Any]:
    """Draw a bar an iteration and return what is in it, by place and words of the legend."""
    layers: dict[tuple[int, str], tuple[Any, list[int]]] = {}
    for age in sorted({age for one in found for age in one.by_age}):
        words = f"model {age} iteration{'' if age == 1 else 's'} old"
        colour = _AGES[min(max(age, 0), len(_AGES) - 1)]
        layers[age, words] = (colour, [one.by_age.get(age, 0) for one in found])
    words = "chosen without a model"
    layers[_LAST, words] = (_NEUTRAL, [one.without_model for one in found])
    words = "the structure, not chosen"
    layers[_LAST + 1, words] = (_PALE, [one.not_chosen for one in found])
    places = [one.iteration for one in found]
    base = np.zeros(len(found))
    handles = {}
    for key, (colour, heights) in layers.items():
        if any(heights):
            handles[key] = axes.bar(places, heights, 0.6, base, color=colour, label=key[1])
            base += heights
    axes.set_xlabel("iteration")
    for axis in (axes.xaxis, axes.yaxis):
        axis.get_major_locator().set_params(integer=True)
    axes.grid(visible=False, axis="x")
    return handles
