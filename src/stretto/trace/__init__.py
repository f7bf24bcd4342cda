"""Traces: the record of a run, its journal on disk, and what is exported from it."""

from stretto.trace.builder import TraceBuilder
from stretto.trace.record import UNKNOWN_US, Kind, Note, Outcome, Trace

__all__ = ["UNKNOWN_US", "Kind", "Note", "Outcome", "Trace", "TraceBuilder"]
