"""Traces: the record of a run, its journal on disk, and what is exported from it."""

from stretto.trace.builder import TraceBuilder
from stretto.trace.codec import mask_from_text, mask_to_text
from stretto.trace.journal import Header, Journal, read_events, read_header, read_trace, trim
from stretto.trace.placements import Placements, interned
from stretto.trace.record import UNKNOWN_US, Kind, Note, Outcome, Pardon, Trace
from stretto.trace.replay import Replay, replayed

__all__ = [
    "UNKNOWN_US",
    "Header",
    "Journal",
    "Kind",
    "Note",
    "Outcome",
    "Pardon",
    "Placements",
    "Replay",
    "Trace",
    "TraceBuilder",
    "interned",
    "mask_from_text",
    "mask_to_text",
    "read_events",
    "read_header",
    "read_trace",
    "replayed",
    "trim",
]
