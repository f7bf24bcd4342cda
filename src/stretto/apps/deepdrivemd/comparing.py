"""One configuration in several modes: predicted from one iteration, then run.

One iteration is run to learn how long the stages take on this machine and what the engine costs
there.  With that every mode is predicted; then all are run, with the same seed and the same
molecule, and if wished plain MD of the same length as their control.  A comparison that was stopped
goes on where it was.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from rich.table import Table

from stretto import (
    Calibration,
    Mode,
    Overheads,
    Run,
    StrettoError,
    Trace,
    Workflow,
    WorkflowError,
    calibrate,
    simulate,
)
from stretto.apps.deepdrivemd.campaign import (
    Observer,
    complete_iterations,
    configuration_of,
    has_run,
    resume,
    run,
    share_molecule,
)
from stretto.apps.deepdrivemd.configuring import Configuration
from stretto.apps.deepdrivemd.loop import workflow_of

__all__ = ["MODES", "Comparison", "Improvement", "Measured", "compare", "compared_table"]

MODES = (Mode.SEQUENTIAL, Mode.ASYNCHRONOUS, Mode.ADAPTIVE)
"""Those that are compared unless others are named."""

Observing = Callable[[Workflow], AbstractContextManager[Observer | None]]
"""What watches a run of a workflow while the context is open."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One mode, as it was predicted and as it was."""

    predicted: Trace
    measured: Trace
    directory: Path


class Improvement(NamedTuple):
    """What is gained over sequential mode, I of the paper's Eq. 5: predicted, and measured."""

    predicted: float
    measured: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """Several modes of one configuration.

    Parameters
    ----------
    workflow
        The loop, with the durations that the calibrating iteration has shown.
    calibration
        What that iteration has shown.
    modes
        Predicted and measured, in the order in which they were run.
    plain
        Directory of the run of plain MD, if there is one.
    """

    workflow: Workflow
    calibration: Calibration
    modes: Mapping[Mode, Measured]
    plain: Path | None = None

    @property
    def directories(self) -> list[Path]:
        """Directories of all runs."""
        runs = [one.directory for one in self.modes.values()]
        return runs if self.plain is None else [*runs, self.plain]

    def improvement(self, mode: Mode) -> Improvement | None:
        """Return what a mode gains; `None` without a sequential run to compare it with."""
        if Mode.SEQUENTIAL not in self.modes:
            return None
        base, one = self.modes[Mode.SEQUENTIAL], self.modes[mode]
        return Improvement(
            1 - one.predicted.ttx_us / base.predicted.ttx_us,
            1 - one.measured.ttx_us / base.measured.ttx_us,
        )


def compare(
    configuration: Configuration,
    folder: str | Path,
    *,
    modes: Sequence[Mode] = MODES,
    plain: bool = False,
    say: Callable[[str], None] = lambda _: None,
    observing: Observing = lambda _: nullcontext(),
) -> Comparison:
    """Run a configuration in several modes, each in a directory of its own below `folder`.

    Parameters
    ----------
    configuration
        Of all modes.
    folder
        Where; ``calibration`` and a directory for each mode.
    modes
        In which order.
    plain
        Whether to run plain MD too, for as many iterations as the longest of the modes.
    say
        Called with a line on what comes next.
    observing
        Watches each run.

    Raises
    ------
    StrettoError
        If a run fails for good or is stopped; says how to go on.
    """
    if configuration.loop.form == "stream":
        raise WorkflowError(
            "expected stages: a stream has nothing that modes could overlap, found stream",
            path=("loop", "form"),
        )
    where = Path(folder).absolute()
    say("one iteration, to learn how long the stages take here")
    once = configuration.looped(iterations=1, mode=Mode.SEQUENTIAL)
    first = _ended(once, workflow_of(once), where / "calibration", observing)
    calibration = calibrate(first.directory)
    known = calibration.applied(workflow_of(configuration))
    results: dict[Mode, Measured] = {}
    for mode in modes:
        chosen = configuration.looped(mode=mode)
        predicted = _predicted(chosen, known, first.trace, calibration.overheads)
        say(f"{mode}: {predicted.ttx_us / 1e6:.1f} s predicted")
        directory = where / str(mode)
        share_molecule(first.directory, directory)
        ended = _ended(chosen, known, directory, observing)
        results[mode] = Measured(predicted, ended.trace, directory)
    if not plain:
        return Comparison(known, calibration, results)
    say("plain MD of the same length")
    longest = max(complete_iterations(one.directory) for one in results.values())
    control = configuration.plain(longest)
    directory = where / "plain"
    share_molecule(first.directory, directory)
    _ended(control, calibration.applied(workflow_of(control)), directory, observing)
    return Comparison(known, calibration, results, directory)


def compared_table(compared: Comparison) -> Table:
    """Return predicted beside measured, a line a mode."""
    table = Table(title="Makespan (TTX) and improvement (I)", title_justify="left")
    for heading in ("mode", "TTX predicted", "TTX measured", "I predicted", "I measured"):
        table.add_column(heading, justify="left" if heading == "mode" else "right")
    for mode, one in compared.modes.items():
        gained = compared.improvement(mode)
        table.add_row(
            str(mode),
            f"{one.predicted.ttx_us / 1e6:.1f} s",
            f"{one.measured.ttx_us / 1e6:.1f} s",
            "\N{EN DASH}" if gained is None else f"{gained.predicted:+.3f}",
            "\N{EN DASH}" if gained is None else f"{gained.measured:+.3f}",
        )
    return table


def _predicted(
    configuration: Configuration, known: Workflow, measured: Trace, overheads: Overheads
) -> Trace:
    return simulate(
        known,
        measured.platform,
        mode=configuration.loop.mode,
        seed=configuration.loop.seed,
        overheads=overheads,
    )


def _ended(
    configuration: Configuration, workflow: Workflow, directory: Path, observing: Observing
) -> Run:
    """Return the run in a directory, which is gone on with if it is there already."""
    if has_run(directory):
        if configuration_of(directory) != configuration:
            raise WorkflowError("there is a run of another configuration", source=str(directory))
        with observing(workflow) as observe:
            ended = resume(directory, observe=observe)
    else:
        with observing(workflow) as observe:
            ended = run(configuration, run_dir=directory, workflow=workflow, observe=observe)
    if not ended.trace.complete:
        raise StrettoError(
            f"the run in {directory} has {ended.ending.value}; see stretto status {directory}, "
            "and give the same command again to go on"
        )
    return ended
