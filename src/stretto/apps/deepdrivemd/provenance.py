"""Provenance: the way of a frame back to the structure that the run began with.

Each simulation's record names the frame it started from, the inference that chose that frame and
the model that inference went by; they are followed from record to record.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from stretto.apps.deepdrivemd.files import StageError
from stretto.apps.deepdrivemd.lineage import Frame
from stretto.apps.deepdrivemd.places import record_file
from stretto.apps.deepdrivemd.simulating.records import Record

__all__ = ["Step", "told", "trace_back"]


@dataclass(frozen=True, slots=True)
class Step:
    """One simulation on the way.

    Parameters
    ----------
    frame
        The frame it led to.
    record
        The simulation's record.
    """

    frame: Frame
    record: Record

    @property
    def parent(self) -> Frame | None:
        """The frame it started from; `None` for the structure, or one from elsewhere."""
        return self.record.parent

    @property
    def inference(self) -> int | None:
        """Iteration whose inference chose that; `None` for none."""
        return self.record.inference

    @property
    def model(self) -> int | None:
        """Iteration whose model that inference went by; `None` for none."""
        return self.record.model

    @property
    def staleness(self) -> int | None:
        """How many iterations older the model was than the newest there could be.

        0 in a synchronous loop, where a simulation goes by the model of the iteration before, and
        in a stream also where others were ahead and the model newer; counted from when it learned;
        `None` without a model.
        """
        trained_in = self.model if self.record.trained_in is None else self.record.trained_in
        return None if trained_in is None else max(self.frame.iteration - 1 - trained_in, 0)

    @property
    def simulated_ps(self) -> float:
        """Simulated time from the start to the frame."""
        return (self.frame.frame + 1) * self.record.ps_per_frame


def trace_back(run_dir: str | Path, frame: Frame) -> tuple[Step, ...]:
    """Return the way of a frame back to where its ancestors began, newest simulation first.

    Raises
    ------
    StageError
        If a record is missing or damaged, has no such frame, or is its own ancestor; names its
        file.
    """
    steps: list[Step] = []
    at: Frame | None = frame
    while at is not None:
        record = Record.read(run_dir, at.iteration, at.simulation)
        path = record_file(run_dir, at.iteration, at.simulation)
        if not 0 <= at.frame < record.frames:
            raise StageError(f"{path}: has {record.frames} frames, none numbered {at.frame}")
        if any(step.frame[:2] == at[:2] for step in steps):
            raise StageError(f"{path}: is its own ancestor, by way of {_name(steps[-1].frame)}")
        steps.append(Step(at, record))
        at = record.parent
    return tuple(steps)


def told(steps: Sequence[Step]) -> str:
    """Return a way as text, a line a simulation, with the whole simulated time."""
    lines = [_line(step) for step in steps]
    whole_ps = sum(step.simulated_ps for step in steps)
    return "\n".join([*lines, f"{whole_ps:g} ps from there on"]) + "\n"


def _line(step: Step) -> str:
    record = step.record
    seed = "" if record.seed is None else f", seed {record.seed}"
    drawn = f", draw {record.draw}" if record.draw > 1 else ""
    return f"{_name(step.frame)}: {step.simulated_ps:g} ps{seed}{drawn}, from {_start(step)}"


def _start(step: Step) -> str:
    if step.record.kind == "structure":
        return "the structure"
    start = "a structure of inference's own" if step.parent is None else _name(step.parent)
    if step.record.minimised:
        start += ", minimised"
    if step.inference is None:
        return start
    chosen = f"{start}, chosen by inference {step.inference}"
    if step.model is None:
        return f"{chosen} without a model"
    late = f", {step.staleness} late" if step.staleness else ""
    return f"{chosen} with model {step.model}{late}"


def _name(frame: Frame) -> str:
    return f"frame {frame.frame} of simulation {frame.simulation} in iteration {frame.iteration}"
