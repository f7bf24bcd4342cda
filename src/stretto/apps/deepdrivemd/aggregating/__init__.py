"""Aggregating: from the frames of simulations to features, in blocks."""

from stretto.apps.deepdrivemd.aggregating.aggregation import aggregate, remade
from stretto.apps.deepdrivemd.aggregating.settings import AggregationSettings

__all__ = ["AggregationSettings", "aggregate", "remade"]
