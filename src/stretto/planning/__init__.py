"""Planning: what asynchronous execution would gain, on which allocation, and what to do."""

from stretto.planning.advice import Advice
from stretto.planning.forecasts import Forecast, Interval
from stretto.planning.plan import Plan, plan
from stretto.planning.sweeps import Point, Sweep, sweep

__all__ = ["Advice", "Forecast", "Interval", "Plan", "Point", "Sweep", "plan", "sweep"]
