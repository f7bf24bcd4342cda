"""What runs tell about how long tasks take and what the engine costs, to predict others with.

`measured_durations` is the short way: what each task set of one run took.  A `Calibration` is the
whole: durations by task set, the terms of `Overheads` (see `costs`) with what each rests on, and
the rule by which the engine chose.  It is kept as a JSON file.

What a task *worked* and what it *held* its slots differ by the engine's overhead.  Where every run
says what its tasks worked (or were asked to work), the durations are that, and ``task_us`` carries
the rest.  Where one does not, the durations are what tasks held, and ``task_us`` is 0.  Never both,
or the overhead would be counted twice.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from stretto.analysis.costs import Observed, Term, costs, timed, worked_known
from stretto.errors import WorkflowError
from stretto.platform import Overheads
from stretto.trace import Trace
from stretto.workflow import (
    Duration,
    Sample,
    Workflow,
    duration_of,
    duration_to_value,
    observed,
)

__all__ = ["Calibration", "Observations", "calibrated", "measured_durations", "read_calibration"]

FORMAT = 1
"""Version of the file; another one is refused."""
MOST_KEPT = 10_000
"""Limit on what `measured_durations` keeps of a set; beyond it every so manieth is taken."""
MOST_CALIBRATED = 200
"""Limit on the observations that a calibration keeps of a set, at evenly spaced ranks."""
ORDER = "critical-path"
"""The rule that stands for one that is not known."""


@dataclass(frozen=True, slots=True)
class Observations:
    """How long tasks of a set take, and on how many of them that rests."""

    duration: Duration
    count: int


@dataclass(frozen=True, slots=True)
class Calibration:
    """What was learnt from runs.

    Parameters
    ----------
    durations
        By name of the task set.
    overheads
        What the engine costs; 0 where nothing could be seen.
    observations
        By term of the overheads: on how many observations it rests.
    order
        The rule by which the engine chose who goes first, ``critical-path`` if that is not known.
    worked
        Whether durations are what tasks worked, and not what they held their slots.
    sources
        The runs.
    told
        Sentences about what could not be learnt.
    """

    durations: Mapping[str, Observations]
    overheads: Overheads
    observations: Mapping[str, int]
    order: str = ORDER
    worked: bool = False
    sources: tuple[str, ...] = ()
    told: tuple[str, ...] = ()

    def applied(self, workflow: Workflow) -> Workflow:
        """Return the workflow with the durations of those task sets that are known by name.

        The overheads are not in it: hand them to `simulate` or `plan`.
        """
        names = {one.name for one in workflow.task_sets}
        return workflow.with_durations(
            {name: one.duration for name, one in self.durations.items() if name in names}
        )

    def to_json(self) -> dict[str, Any]:
        """Return the calibration as plain values; `from_json` undoes it."""
        return {
            "stretto_calibration": FORMAT,
            "sources": list(self.sources),
            "order": self.order,
            "worked": self.worked,
            "overheads": {
                one.name: {
                    "value": getattr(self.overheads, one.name),
                    "observations": self.observations.get(one.name, 0),
                }
                for one in fields(Overheads)
            },
            "durations": {
                name: {"duration": duration_to_value(one.duration), "observations": one.count}
                for name, one in self.durations.items()
            },
            "told": list(self.told),
        }

    @classmethod
    def from_json(cls, values: object) -> Calibration:
        """Return the calibration that `to_json` made.

        Raises
        ------
        WorkflowError
            If it is none, or of another version.
        """
        match values:
            case {"stretto_calibration": version, **rest}:
                pass
            case _:
                raise WorkflowError("expected a calibration (the key stretto_calibration)")
        if version != FORMAT:
            raise WorkflowError(
                f"expected version {FORMAT}, found {version!r}", path=("stretto_calibration",)
            )
        match rest:
            case {
                "sources": list(sources),
                "order": str(order),
                "worked": bool(worked),
                "overheads": dict(terms),
                "durations": dict(durations),
                "told": list(told),
            }:
                values_us, observations = _terms(terms)
                return cls(
                    durations={name: _observations(name, one) for name, one in durations.items()},
                    overheads=Overheads(**values_us),
                    observations=observations,
                    order=order,
                    worked=worked,
                    sources=tuple(map(str, sources)),
                    told=tuple(map(str, told)),
                )
            case _:
                raise WorkflowError(
                    "expected sources, order, worked, overheads, durations and told, "
                    f"found {', '.join(map(str, rest))}"
                )

    def write(self, path: str | Path) -> Path:
        """Write the calibration to a file, and return its path.

        Raises
        ------
        WorkflowError
            If it cannot be written.
        """
        path = Path(path)
        try:
            path.write_text(json.dumps(self.to_json(), indent=1) + "\n", encoding="utf-8")
        except OSError as error:
            raise WorkflowError(f"cannot be written: {error.strerror}", source=str(path)) from None
        return path


def read_calibration(path: str | Path) -> Calibration:
    """Return the calibration in a file.

    Raises
    ------
    WorkflowError
        If it cannot be read, or holds none.
    """
    source = str(path)
    try:
        values = json.loads(Path(path).read_bytes())
    except FileNotFoundError:
        raise WorkflowError("there is no such file", source=source) from None
    except OSError as error:
        raise WorkflowError(f"cannot be read: {error.strerror}", source=source) from None
    except (ValueError, RecursionError) as error:
        raise WorkflowError(f"cannot be read as JSON: {error}", source=source) from None
    try:
        return Calibration.from_json(values)
    except WorkflowError as error:
        raise WorkflowError(error.message, path=error.path, source=source) from None


def calibrated(runs: Sequence[Observed]) -> Calibration:
    """Return what these runs tell.

    Raises
    ------
    WorkflowError
        If nothing finished in any of them.
    """
    worked = worked_known(runs)
    seen: dict[str, list[int]] = {}
    for run in runs:
        for name, values in _seen(run, worked=worked).items():
            seen.setdefault(name, []).extend(values)
    if not seen:
        raise WorkflowError(
            "no task finished in these runs: there is nothing to learn from",
            source=", ".join(run.name for run in runs) or None,
        )
    terms = costs(runs)
    rules = {run.order for run in runs}
    order = next(iter(rules)) if len(rules) == 1 else None
    return Calibration(
        durations={
            name: Observations(observed(values, MOST_CALIBRATED), len(values))
            for name, values in seen.items()
        },
        overheads=Overheads(**{name: term.value_us for name, term in terms.items()}),
        observations={name: term.observations for name, term in terms.items()},
        order=ORDER if order is None else order,
        worked=worked,
        sources=tuple(run.name for run in runs),
        told=_told(terms, order, rules, worked=worked),
    )


def measured_durations(trace: Trace) -> Mapping[str, Sample]:
    """Return, by task set, how long its finished tasks took, from start to end.

    Sets of which nothing finished are left out.
    """
    seen = _seen(Observed("", trace), worked=False)
    return {name: Sample(_thinned(sorted(values))) for name, values in seen.items()}


def _seen(run: Observed, *, worked: bool) -> dict[str, list[int]]:
    """Return, by task set, how long each of its finished tasks worked, or held its slots."""
    trace = run.trace
    instances = trace.expansion().instances
    rows = timed(run)
    took_us = (trace.ended_us - trace.started_us)[rows].tolist()
    tasks = trace.task[rows].tolist()
    seen: dict[str, list[int]] = {}
    for index, task, us in zip(trace.instance()[rows], tasks, took_us, strict=True):
        own_us = run.worked_us[task] if worked and run.worked_us is not None else None
        name = instances[index].task_set.name
        seen.setdefault(name, []).append(us if own_us is None else own_us)
    return seen


def _thinned(values: list[int]) -> tuple[int, ...]:
    step = -(-len(values) // MOST_KEPT)
    return tuple(values[::step])


def _told(
    terms: Mapping[str, Term], order: str | None, rules: set[str | None], *, worked: bool
) -> tuple[str, ...]:
    told = [
        f"{name} could not be seen and is 0"
        for name, term in terms.items()
        if not term.observations and (worked or name != "task_us")
    ]
    if not worked:
        told.append(
            "not every run says what its tasks worked: durations are what they held their slots, "
            "and task_us is 0"
        )
    if order is None:
        why = "is not known" if rules == {None} else "differs between the runs"
        told.append(f"how the engine chose who goes first {why}: {ORDER} stands for it")
    return tuple(told)


def _terms(terms: Mapping[str, object]) -> tuple[dict[str, int], dict[str, int]]:
    values: dict[str, int] = {}
    observations: dict[str, int] = {}
    known = [one.name for one in fields(Overheads)]
    for name, term in terms.items():
        match term:
            case {"value": int(value), "observations": int(count)} if name in known:
                values[name], observations[name] = value, count
            case _:
                raise WorkflowError(
                    f"expected value and observations of one of {', '.join(known)}",
                    path=("overheads", name),
                )
    return values, observations


def _observations(name: str, one: object) -> Observations:
    match one:
        case {"duration": value, "observations": int(count)}:
            try:
                duration = duration_of(value)
            except WorkflowError as error:
                raise error.within("durations", name, "duration") from None
            if duration is not None:
                return Observations(duration, count)
        case _:
            pass
    raise WorkflowError("expected duration and observations", path=("durations", name))
