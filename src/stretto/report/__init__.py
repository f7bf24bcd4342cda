"""Figures, the HTML report, and curves of a sweep."""

from stretto.report.curves import Curve, CurvePoint, curves
from stretto.report.page import render, write_report

__all__ = ["Curve", "CurvePoint", "curves", "render", "write_report"]
