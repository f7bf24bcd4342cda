"""Figures as inline SVG: a timeline by task set, and what is in use over time.

A figure has no fixed width.  Along time, positions are in per cent, and shapes lie in an inner
picture that stretches; along the other axis, and for all text, units are pixels.  So the same
figure is sharp and readable on a wide screen, a telephone and paper.

A file must stay small with a hundred thousand tasks.  Where there are few attempts each is a bar;
where there are many, a lane shows how many of its tasks run.  Over what runs but waits lies a light
hatching.  Step functions with more steps than
a screen has room for are averaged over equal parts of the span, which keeps their area.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from stretto.analysis.serials import attempt_name, serials
from stretto.analysis.usage import Steps, held, idle_spans, steps, usage
from stretto.report.axes import amount_ticks, duration, time_axis
from stretto.report.palette import OTHER, Colour
from stretto.trace import Outcome, Trace
from stretto.units import GPU_MILLI

__all__ = ["Frame", "in_use", "timeline"]

MOST_LANES_BY_ITERATION = 24
"""Up to so many lanes, a set has one for each iteration; beyond, one for all."""
MOST_LANES = 60
MOST_BARS = 400
"""Up to so many attempts, each is a bar of its own."""
MOST_BARS_ABREAST = 12
MOST_STEPS = 360
"""A step function with more steps is averaged over so many parts."""
MOST_LABEL = 15
"""Characters of a lane's name; of a longer one the middle is left out."""
MOST_MARKS = 40
"""A lane marks failures in so many equal parts of the span."""

_WIDTH = 10_000
_PLOT_PX = 132
_AXIS_PX = 34
_LANE_PX = 20
_BAR_PX = 9

Times = NDArray[np.int64]


class Frame(NamedTuple):
    """What the figures of one trace have in common.

    Parameters
    ----------
    begin_us
        Time in the trace at which the time axis begins.
    span_us
        Length of the axis.
    colours
        Of the task sets.
    """

    begin_us: int
    span_us: int
    colours: Mapping[str, Colour]

    def share(self, us: int) -> float:
        """Return a length of time in per cent of the axis."""
        return us / max(self.span_us, 1) * 100


class _Lane(NamedTuple):
    """One lane: its label, its colour, and the attempts in it."""

    name: str
    colour: str
    rows: Times
    started_us: Times
    ended_us: Times


def in_use(trace: Trace, resource: str, frame: Frame) -> Markup:
    """Return stacked step areas of what is in use, below the line of what is allocated.

    Parameters
    ----------
    resource
        ``"cores"`` or ``"GPUs"``.
    """
    found = usage(trace)
    scale, most, total, by_set, waits = (
        (1, trace.platform.cores, found.cores, found.cores_by_set, found.cores_idle)
        if resource == "cores"
        else (
            GPU_MILLI,
            trace.platform.gpus,
            found.gpus_milli,
            found.gpus_milli_by_set,
            found.gpus_milli_idle,
        )
    )
    edges_us = _edges([total, *by_set, waits], frame)
    levels = _stacked(trace, by_set, frame.colours, edges_us)
    shapes = [
        Markup('<path fill="{}" d="{}"><title>{}</title></path>').format(
            colour, _steps_path(edges_us, level / scale / most, frame), name
        )
        for name, colour, level in reversed(levels)
        if level.any()
    ]
    if len(waits.times_us):
        path = _steps_path(edges_us, waits.mean(edges_us) / scale / most, frame)
        title = "running, but waiting"
        shapes.append(
            Markup('<path fill="url(#idle)" d="{}"><title>{}</title></path>').format(path, title)
        )
    peak = int(total.amounts.max()) / scale if len(total.amounts) else 0
    described = f"{resource} in use over time, at most {peak:g} of {most} allocated"
    height = _PLOT_PX + _AXIS_PX
    return _svg(
        described,
        height,
        [
            *_time_grid(frame.span_us, _PLOT_PX),
            *(_amount_label(tick, most) for tick in _ticks(most)),
            _stretched(shapes, 0, _PLOT_PX, _PLOT_PX),
            Markup('<line class="allocation" x1="0" x2="100%" y1="0" y2="0"/>'),
            Markup('<line class="base" x1="0" x2="100%" y1="{0}" y2="{0}"/>').format(_PLOT_PX),
        ],
    )


def timeline(trace: Trace, frame: Frame) -> Markup:
    """Return when tasks of each set ran; a lane a set and iteration, or a set if those are many."""
    lanes = _lanes(trace, frame.colours)
    bars = len(trace) <= MOST_BARS
    pieces: list[Markup] = []
    top = 4
    for lane in lanes[:MOST_LANES]:
        tracks, abreast = _tracks(lane)
        height = _LANE_PX
        if bars and abreast <= MOST_BARS_ABREAST:
            height = max(_LANE_PX - 4, abreast * _BAR_PX + 2)
            pieces += _bars(trace, lane, tracks, top, frame)
        else:
            pieces += _area(trace, lane, top, height, frame)
        pieces.append(_lane_label(lane.name, top + height / 2))
        top += height + 5
    if len(lanes) > MOST_LANES:
        pieces.append(_lane_label(f"… {len(lanes) - MOST_LANES} more", top + 8))
        top += 20
    described = f"when tasks of {len(trace.workflow.task_sets)} task sets ran"
    base = Markup('<line class="base" x1="0" x2="100%" y1="{0}" y2="{0}"/>').format(top)
    return _svg(described, top + _AXIS_PX, [*_time_grid(frame.span_us, top), *pieces, base])


def _svg(described: str, height: float, pieces: Sequence[Markup]) -> Markup:
    return Markup(
        '<svg class="figure" role="img" aria-label="{0}" height="{1:g}">{2}</svg>'
    ).format(described, height, Markup("").join(pieces))


def _stretched(shapes: Sequence[Markup], top: float, height: float, units: int) -> Markup:
    """Return shapes in an inner picture that is as wide as the figure happens to be."""
    return Markup(
        '<svg x="0" y="{:g}" width="100%" height="{:g}" viewBox="0 0 {} {}" '
        'preserveAspectRatio="none">{}</svg>'
    ).format(top, height, _WIDTH, units, Markup("").join(shapes))


def _time_grid(span_us: int, height: float) -> list[Markup]:
    axis = time_axis(span_us)
    pieces = []
    for number, (at, label) in enumerate(axis.ticks):
        # On narrow screens only every other label is shown.
        kind = "tick odd" if number % 2 else "tick"
        pieces.append(
            Markup(
                '<line class="grid" x1="{0:.3f}%" x2="{0:.3f}%" y1="0" y2="{1:g}"/>'
                '<text class="{2}" x="{0:.3f}%" y="{3:g}">{4}</text>'
            ).format(at * 100, height, kind, height + 15, label)
        )
    unit = Markup('<text class="unit" x="100%" y="{:g}">time in {}</text>').format(
        height + 30, axis.unit
    )
    return [*pieces, unit]


def _ticks(most: int) -> list[int]:
    """Return round amounts up to the allocation, and the allocation itself."""
    ticks = amount_ticks(most)
    return [tick for tick in ticks if most - tick > most * 0.12] + [most]


def _amount_label(tick: int, most: int) -> Markup:
    y = _PLOT_PX * (1 - tick / most)
    return Markup(
        '<line class="grid" x1="0" x2="100%" y1="{0:g}" y2="{0:g}"/>'
        '<text class="amount" x="-8" y="{0:g}" dy="0.35em">{1:,}</text>'
    ).format(y, tick)


def _lane_label(name: str, y: float) -> Markup:
    # The end of a name tells more than its middle: it has the number.
    short = name if len(name) <= MOST_LABEL else f"{name[:7]}…{name[-7:]}"
    return Markup(
        '<text class="lane" x="-8" y="{:g}" dy="0.35em">{}<title>{}</title></text>'
    ).format(y, short, name)


def _edges(functions: Sequence[Steps], frame: Frame) -> Times:
    """Return the times at which any of the functions steps, or equal parts where these are many."""
    times_us = np.unique(np.concatenate([each.times_us for each in functions]))
    if len(times_us) > MOST_STEPS:
        end_us = frame.begin_us + frame.span_us
        return np.linspace(frame.begin_us, end_us, MOST_STEPS + 1).astype(np.int64)
    return times_us


def _stacked(
    trace: Trace, by_set: Sequence[Steps], colours: Mapping[str, Colour], edges_us: Times
) -> list[tuple[str, str, NDArray[np.float64]]]:
    """Return name, colour and upper level of each layer, from the bottom up."""
    layers: list[tuple[str, str, NDArray[np.float64]]] = []
    level = np.zeros(max(0, len(edges_us) - 1))
    others = level
    for task_set, own in zip(trace.workflow.task_sets, by_set, strict=True):
        colour = colours[task_set.name]
        if colour.own:
            level = level + own.mean(edges_us)
            layers.append((task_set.name, colour.value, level))
        else:
            others = others + own.mean(edges_us)
    if others.any():
        layers.append(("other task sets", OTHER, level + others))
    return layers


def _steps_path(
    edges_us: Times, shares: NDArray[np.float64], frame: Frame, height: int = _PLOT_PX
) -> str:
    """Return the outline of a step function that is given as shares of the full height."""
    xs = np.rint((edges_us - frame.begin_us) / max(frame.span_us, 1) * _WIDTH).astype(int).tolist()
    ys = np.round(height * (1 - shares), 1).tolist()
    pieces = [f"M{xs[0]} {height}"]
    last = float(height)
    for x, y in zip(xs[:-1], ys, strict=True):
        if y != last:
            pieces.append(f"H{x}V{y:g}")
            last = y
    pieces.append(f"H{xs[-1]}V{height}Z")
    return "".join(pieces)


def _lanes(trace: Trace, colours: Mapping[str, Colour]) -> list[_Lane]:
    numbers = serials(trace.workflow)
    rows, started_us, ended_us = held(trace)
    place = numbers.place(trace.task[rows])
    iteration = numbers.iteration(trace.task[rows])
    turns = numbers.iterations
    if trace.dropped:  # a loop that has converged: the rest of it is of no interest
        turns = 1 + int(iteration.max(initial=0))
    split = turns > 1 and len(numbers.names) * turns <= MOST_LANES_BY_ITERATION
    lanes = []
    for turn in range(turns if split else 1):
        for at, name in enumerate(numbers.names):
            own = np.flatnonzero((place == at) & (iteration == turn) if split else place == at)
            lanes.append(
                _Lane(
                    name=f"{name} {turn}" if split else name,
                    colour=colours[name].value,
                    rows=rows[own],
                    started_us=started_us[own],
                    ended_us=ended_us[own],
                )
            )
    return lanes


def _tracks(lane: _Lane) -> tuple[list[int], int]:
    """Return a track for each attempt, so that no two on one track overlap, and how many."""
    if len(lane.rows) > MOST_BARS:
        return [], MOST_BARS
    free_us: list[int] = []
    tracks = [0] * len(lane.rows)
    for at in np.lexsort((lane.rows, lane.started_us)).tolist():
        begin_us, end_us = int(lane.started_us[at]), int(lane.ended_us[at])
        track = next((n for n, us in enumerate(free_us) if us <= begin_us), len(free_us))
        if track == len(free_us):
            free_us.append(0)
        free_us[track] = end_us
        tracks[at] = track
    return tracks, len(free_us)


def _bars(
    trace: Trace, lane: _Lane, tracks: Sequence[int], top: float, frame: Frame
) -> list[Markup]:
    pieces = []
    for at, row in enumerate(lane.rows.tolist()):
        start_us, end_us = int(lane.started_us[at]), int(lane.ended_us[at])
        outcome = Outcome(int(trace.outcome[row]))
        title = f"{attempt_name(trace, row)}: {outcome.name.lower()}"
        title += f", {duration(end_us - start_us)} from {duration(start_us - frame.begin_us)}"
        reason = trace.reasons.get(row)
        pieces.append(
            Markup(
                '<rect class="bar {}" x="{:.3f}%" y="{:g}" width="{:.3f}%" height="{}" '
                'rx="1.5" fill="{}"><title>{}</title></rect>'
            ).format(
                outcome.name.lower(),
                frame.share(start_us - frame.begin_us),
                top + 1 + tracks[at] * _BAR_PX,
                max(frame.share(end_us - start_us), 0.1),
                _BAR_PX - 1,
                "url(#failed)" if outcome is Outcome.FAILED else lane.colour,
                f"{title}: {reason}"[:300] if reason else title,
            )
        )
    track_of = dict(zip(lane.rows.tolist(), tracks, strict=True))
    waits = idle_spans(trace)
    for row, begin_us, end_us in zip(*(column.tolist() for column in waits), strict=True):
        if row in track_of:
            y = top + 1 + track_of[row] * _BAR_PX
            pieces.append(_waiting(begin_us, end_us, y, frame))
    return pieces


def _waiting(begin_us: int, end_us: int, y: float, frame: Frame) -> Markup:
    return Markup(
        '<rect class="waiting" x="{:.3f}%" y="{:g}" width="{:.3f}%" height="{}" '
        'fill="url(#idle)"><title>waits, {} from {}</title></rect>'
    ).format(
        frame.share(begin_us - frame.begin_us),
        y,
        frame.share(end_us - begin_us),
        _BAR_PX - 1,
        duration(end_us - begin_us),
        duration(begin_us - frame.begin_us),
    )


def _area(trace: Trace, lane: _Lane, top: float, height: float, frame: Frame) -> list[Markup]:
    """Return a lane as the number of its tasks that run, with a mark where attempts failed."""
    if not len(lane.rows):
        return []
    running = steps(lane.started_us, lane.ended_us, np.ones_like(lane.rows))
    peak = int(running.amounts.max()) if len(running.amounts) else 1
    edges_us = _edges([running], frame)
    pieces = []
    if len(edges_us) > 1:
        path = _steps_path(edges_us, running.mean(edges_us) / max(peak, 1), frame, _LANE_PX)
        title = f"{lane.name}: {len(lane.rows)} attempts, up to {peak} at once"
        shape = Markup('<path fill="{}" d="{}"><title>{}</title></path>').format(
            lane.colour, path, title
        )
        pieces.append(_stretched([shape], top, height, _LANE_PX))
    failed = lane.ended_us[trace.outcome[lane.rows] == Outcome.FAILED] - frame.begin_us
    parts, counts = np.unique(failed * MOST_MARKS // max(frame.span_us, 1), return_counts=True)
    for part, count in zip(parts.tolist(), counts.tolist(), strict=True):
        pieces.append(
            Markup(
                '<text class="cross" x="{}%" y="{:g}">&times;<title>{} failed</title></text>'
            ).format(min((part + 0.5) / MOST_MARKS * 100, 100), top + height / 2 + 5, count)
        )
    return pieces
