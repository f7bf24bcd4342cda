"""Figures and the HTML report."""

from stretto.report.page import render, write_report

__all__ = ["render", "write_report"]
