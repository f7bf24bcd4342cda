"""Curves of a sweep as one SVG file: makespan by allocation, a line each, with what was drawn.

Unlike the figures of a report this one stands by itself, for slides and papers: it has a fixed size
and its own colours.  Sizes lie on a logarithmic axis, since allocations are tried in ratios; the
band is the 5th to the 95th percentile, the dashed line the lower bound, the ring the smallest
allocation that still does it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from stretto.report.axes import duration, time_axis
from stretto.report.palette import series_colour

__all__ = ["Curve", "CurvePoint", "curves"]

_WIDTH, _HEIGHT = 760, 440
_LEFT, _RIGHT, _TOP, _BOTTOM = 84, 24, 48, 64
_ROW_PX = 18


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """One allocation: its size and times in microseconds."""

    size: int
    mean_us: float
    low_us: float
    high_us: float
    bound_us: float | None


@dataclass(frozen=True, slots=True)
class Curve:
    """One line of a sweep, its points by size, and the size of its smallest allocation."""

    name: str
    points: Sequence[CurvePoint]
    smallest: int


def curves(found: Sequence[Curve], *, title: str, unit: str) -> str:
    """Return an SVG document with these curves.

    Parameters
    ----------
    found
        At least one, each with at least one point.
    title
        Heading.
    unit
        What a size counts, such as ``"nodes"``.
    """
    plot = _Plot(found)
    pieces = [
        Markup('<text x="{}" y="26" class="title">{}</text>').format(_LEFT, title),
        *plot.grid(unit),
    ]
    for number, curve in enumerate(found):
        pieces += plot.drawn(curve, series_colour(number))
    pieces += plot.legend(found)
    height = _HEIGHT + _ROW_PX * len(found)
    return str(
        Markup(
            '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {0} {1}" width="{0}" '
            'height="{1}" role="img" aria-label="{2}"><style>'
            "text{{font:13px sans-serif;fill:#333}} .title{{font-size:16px;font-weight:600}} "
            ".grid{{stroke:#ddd}} .low{{text-anchor:end}} .mid{{text-anchor:middle}}"
            '</style><rect width="100%" height="100%" fill="#fff"/>{3}</svg>\n'
        ).format(_WIDTH, height, title, Markup("").join(pieces))
    )


class _Plot:
    """Where sizes and times lie."""

    def __init__(self, found: Sequence[Curve]) -> None:
        sizes = sorted({point.size for curve in found for point in curve.points})
        self._sizes = sizes
        self._low, self._high = math.log(sizes[0]), math.log(sizes[-1])
        self._most_us = max(point.high_us for curve in found for point in curve.points)

    def x(self, size: int) -> float:
        if self._high == self._low:
            return (_LEFT + _WIDTH - _RIGHT) / 2
        share = (math.log(size) - self._low) / (self._high - self._low)
        return _LEFT + share * (_WIDTH - _RIGHT - _LEFT)

    def y(self, us: float) -> float:
        return _HEIGHT - _BOTTOM - us / max(self._most_us, 1) * (_HEIGHT - _BOTTOM - _TOP)

    def grid(self, unit: str) -> list[Markup]:
        bottom = _HEIGHT - _BOTTOM
        pieces = []
        last = -math.inf
        for size in self._sizes:
            x = self.x(size)
            if x - last < 30:
                continue  # labels would touch
            last = x
            pieces.append(
                Markup(
                    '<line class="grid" x1="{0:.1f}" x2="{0:.1f}" y1="{1}" y2="{2}"/>'
                    '<text class="mid" x="{0:.1f}" y="{3}">{4}</text>'
                ).format(x, _TOP, bottom, bottom + 18, size)
            )
        axis = time_axis(round(self._most_us), at_most=5)
        for share, label in axis.ticks:
            pieces.append(
                Markup(
                    '<line class="grid" x1="{0}" x2="{1}" y1="{2:.1f}" y2="{2:.1f}"/>'
                    '<text class="low" x="{3}" y="{2:.1f}" dy="0.35em">{4}</text>'
                ).format(_LEFT, _WIDTH - _RIGHT, self.y(share * self._most_us), _LEFT - 8, label)
            )
        pieces.append(
            Markup('<text class="low" x="{}" y="{}">{}</text>').format(
                _LEFT - 8, _TOP - 14, axis.unit
            )
        )
        middle = (_LEFT + _WIDTH - _RIGHT) / 2
        pieces.append(
            Markup('<text class="mid" x="{}" y="{}">{}</text>').format(middle, bottom + 42, unit)
        )
        return pieces

    def drawn(self, curve: Curve, colour: str) -> list[Markup]:
        points = curve.points
        band = [(point.size, point.high_us) for point in points]
        band += [(point.size, point.low_us) for point in reversed(points)]
        bound = [(point.size, point.bound_us) for point in points if point.bound_us is not None]
        ringed = next(point for point in points if point.size == curve.smallest)
        pieces = [
            Markup('<polygon points="{}" fill="{}" fill-opacity="0.18"/>').format(
                self._path(band), colour
            ),
            Markup('<polyline points="{}" fill="none" stroke="{}" stroke-width="2"/>').format(
                self._path([(point.size, point.mean_us) for point in points]), colour
            ),
            Markup('<polyline points="{}" fill="none" stroke="{}" stroke-dasharray="4 4"/>').format(
                self._path(bound), colour
            ),
            Markup(
                '<circle cx="{:.1f}" cy="{:.1f}" r="7" fill="none" stroke="{}" stroke-width="2"/>'
            ).format(self.x(ringed.size), self.y(ringed.mean_us), colour),
        ]
        pieces += [
            Markup(
                '<circle cx="{:.1f}" cy="{:.1f}" r="3" fill="{}"><title>{}</title></circle>'
            ).format(
                self.x(point.size),
                self.y(point.mean_us),
                colour,
                f"{curve.name}: {duration(point.mean_us)} on {point.size}",
            )
            for point in points
        ]
        return pieces

    def legend(self, found: Sequence[Curve]) -> list[Markup]:
        pieces = []
        for number, curve in enumerate(found):
            y = _HEIGHT + _ROW_PX * number
            pieces.append(
                Markup(
                    '<rect x="{0}" y="{1}" width="12" height="12" fill="{2}"/>'
                    '<text x="{3}" y="{4}">{5}</text>'
                ).format(_LEFT, y - 11, series_colour(number), _LEFT + 20, y, curve.name)
            )
        return pieces

    def _path(self, points: Sequence[tuple[int, float]]) -> str:
        return " ".join(f"{self.x(size):.1f},{self.y(us):.1f}" for size, us in points)
