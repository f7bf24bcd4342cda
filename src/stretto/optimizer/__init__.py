"""Shorter schedules than any rule gives, as orders that engines keep; and proven bounds."""

from stretto.optimizer.search import Optimized, Step, optimize

__all__ = ["Optimized", "Step", "optimize"]
