"""One sentence of advice, with its reason and how sure it is; to stay sequential is advice, too.

What is weighed is the *net* gain: I over sequential execution (Eq. 5), less what asynchronous
execution costs.  Where overheads are given they are in the simulations already.  Where none are,
the paper's are charged as in its Table 3: 6 % of the asynchronous makespan, against a sequential
one that is left as it is.  A net gain of less than 2 %, which is what enabling asynchronicity costs
by itself, is inside the overhead: nobody should bother.

Of the candidates the simplest is advised that is within these 2 % of the best: asynchronous before
task-level before adaptive, the order as it is before another one.  How sure it is, is the share of
draws in which the advice holds: that its net gain is above the 2 %, or, if it is to stay
sequential, that none is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from stretto.model import ASYNCHRONOUS_OVERHEAD, FRAMEWORK_OVERHEAD
from stretto.planning.forecasts import Forecast
from stretto.scheduler import Mode, Order

__all__ = ["Advice", "Staler", "advice", "no_advice"]

INSIDE = float(ASYNCHRONOUS_OVERHEAD - FRAMEWORK_OVERHEAD)
"""Net gain that is inside the overhead of enabling asynchronicity (section 7.2)."""
HIGH, FAIR = 0.95, 0.75
"""Shares of draws from which confidence is high, or fair."""


class Staler(NamedTuple):
    """What input one or more iterations older would gain.

    Parameters
    ----------
    staleness
        At which more would gain nothing.
    gain
        I at mean durations over the advised mode with the staleness as declared.
    """

    staleness: int
    gain: float


@dataclass(frozen=True, slots=True)
class Advice:
    """What to do.

    Parameters
    ----------
    mode
        `None` where nothing can be said.
    order
        In which order.
    gain
        Net gain over sequential execution, mean of the draws.
    confidence
        ``"high"``, ``"fair"``, ``"low"`` or ``"none"``.
    share
        Share of the draws in which it holds.
    reason
        In words.
    staler
        What more staleness would gain, where that is more than is inside the overhead.
    """

    mode: Mode | None
    order: Order
    gain: float | None
    confidence: str
    share: float | None
    reason: str
    staler: Staler | None = None

    @property
    def sentence(self) -> str:
        """The advice as one sentence."""
        if self.mode is None:
            return self.reason
        text = (
            f"{self.reason}: stay sequential"
            if self.mode is Mode.SEQUENTIAL
            else f"Run it {self.mode}: {self.reason}"
        )
        if self.staler is not None:
            text += (
                f"; with staleness {self.staler.staleness}, if the science allows it, "
                f"{self.staler.gain:.0%} shorter"
            )
        return f"{text} (confidence {self.confidence})."


def no_advice(missing: Sequence[str]) -> Advice:
    """Return what is said where durations are not known."""
    names = ", ".join(missing)
    reason = f"Nothing can be said before the duration of {names} is known: give it, or calibrate."
    return Advice(None, Order(), None, "none", None, reason)


def advice(
    candidates: Sequence[tuple[Forecast, Order]],
    *,
    overheads_given: bool,
    staler: Mapping[Mode, Staler],
) -> Advice:
    """Return the advice that these forecasts give.

    Parameters
    ----------
    candidates
        Forecasts of modes that are not sequential with the order of each, the simplest first.
    overheads_given
        Whether the forecasts have the engine's overheads in them.
    staler
        By mode: what more staleness would gain.
    """
    charged = 0.0 if overheads_given else float(ASYNCHRONOUS_OVERHEAD)
    gains = [
        [1 - (1 - one) * (1 + charged) for one in forecast.improvements] or [0.0]
        for forecast, _ in candidates
    ]
    means = [sum(own) / len(own) for own in gains]
    best = max(means)
    if best < INSIDE:
        at = means.index(best)
        together = list(zip(*gains, strict=False))
        share = sum(max(draw) < INSIDE for draw in together) / len(together)
        return Advice(
            mode=Mode.SEQUENTIAL,
            order=Order(),
            gain=best,
            confidence=_confidence(share),
            share=share,
            reason=_nothing_gained(best),
            staler=staler.get(candidates[at][0].mode),
        )
    at = next(number for number, mean in enumerate(means) if mean >= best - INSIDE)
    forecast, order = candidates[at]
    share = sum(one >= INSIDE for one in gains[at]) / len(gains[at])
    others = "" if order == candidates[0][1] else f" with the order {order}"
    return Advice(
        mode=forecast.mode,
        order=order,
        gain=means[at],
        confidence=_confidence(share),
        share=share,
        reason=f"{means[at]:.0%} shorter than sequential{others}, overhead included",
        staler=staler.get(forecast.mode),
    )


def _nothing_gained(best: float) -> str:
    if best > 0:
        return f"The gain of {best:.1%} is inside the overhead of {INSIDE:.0%}"
    return f"Overlapping gains nothing (net I {best:+.1%})".replace("-", "\N{MINUS SIGN}")


def _confidence(share: float) -> str:
    return "high" if share >= HIGH else "fair" if share >= FAIR else "low"
