"""What traces tell: utilisation, overhead, predicted against measured, and whether it was legal."""

from stretto.analysis.calibration import (
    Calibration,
    Observations,
    calibrated,
    measured_durations,
    read_calibration,
)
from stretto.analysis.checker import check, violations
from stretto.analysis.comparison import Comparison, Parts, Row, compare, overhead_us, parts
from stretto.analysis.costs import Observed
from stretto.analysis.freshness import Freshness, freshness
from stretto.analysis.tolerance import budgets_used
from stretto.analysis.usage import Steps, Usage, Utilisation, idle_spans, usage, utilisation

__all__ = [
    "Calibration",
    "Comparison",
    "Freshness",
    "Observations",
    "Observed",
    "Parts",
    "Row",
    "Steps",
    "Usage",
    "Utilisation",
    "budgets_used",
    "calibrated",
    "check",
    "compare",
    "freshness",
    "idle_spans",
    "measured_durations",
    "overhead_us",
    "parts",
    "read_calibration",
    "usage",
    "utilisation",
    "violations",
]
