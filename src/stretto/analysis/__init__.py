"""What traces tell: utilisation, overhead, predicted against measured, and whether it was legal."""

from stretto.analysis.calibration import measured_durations
from stretto.analysis.checker import check, violations
from stretto.analysis.comparison import Comparison, Parts, Row, compare, overhead_us, parts
from stretto.analysis.freshness import Freshness, freshness
from stretto.analysis.usage import Steps, Usage, Utilisation, usage, utilisation

__all__ = [
    "Comparison",
    "Freshness",
    "Parts",
    "Row",
    "Steps",
    "Usage",
    "Utilisation",
    "check",
    "compare",
    "freshness",
    "measured_durations",
    "overhead_us",
    "parts",
    "usage",
    "utilisation",
    "violations",
]
