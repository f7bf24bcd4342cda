"""A run as it lies on disk, as far as it can be read.

A run may be on, or have failed, and a file of it may be damaged: whatever cannot be read is named,
and the rest is shown.  Of blocks everything is kept but the features, which are large and which no
figure looks at.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, Self, TypeVar

import numpy as np
import yaml
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, PositiveInt, model_validator

from stretto import StrettoError, Trace, read_trace, simulate
from stretto.apps.deepdrivemd.blocks import Block
from stretto.apps.deepdrivemd.figures.embeddings import Embedding
from stretto.apps.deepdrivemd.files import StageError
from stretto.apps.deepdrivemd.lineage import Frame
from stretto.apps.deepdrivemd.places import (
    configuration_file,
    inference_file,
    latent_file,
    loss_file,
    system_folder,
)
from stretto.apps.deepdrivemd.simulating.records import Record, read_model

__all__ = ["JOURNAL", "Choice", "Learning", "Losses", "RunFiles", "read_run"]

JOURNAL = "journal.jsonl"
UNKNOWN = "unknown"
Found = TypeVar("Found")


class _Read(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class _Loop(_Read):
    mode: str = UNKNOWN
    first: int = 0


class _Inference(_Read):
    strategy: str = UNKNOWN


class _Configuration(_Read):
    """What is looked at of the configuration."""

    loop: _Loop = _Loop()
    inference: _Inference = _Inference()


class _Remade(_Read):
    iteration: int
    block: int


class Losses(_Read):
    """Loss after so many updates; `validation` is empty where no frame was held out."""

    updates: Annotated[tuple[PositiveInt, ...], Field(min_length=1)]
    training: tuple[FiniteFloat, ...]
    validation: tuple[FiniteFloat, ...] = ()

    @model_validator(mode="after")
    def _a_value_a_point(self) -> Self:
        lengths = {len(self.training), len(self.validation) or len(self.training)}
        if lengths != {len(self.updates)}:
            raise ValueError(f"expected {len(self.updates)} values of each loss")
        return self


class Learning(_Read):
    """What ``model.json`` says: whose weights it went on from, and how it went."""

    parent: int | None = None
    trained_in: int | None = None
    fell_back: bool = False
    diverged: tuple[Mapping[str, Any], ...] = ()
    loss: Losses | None = None
    remade: tuple[_Remade, ...] = ()


class _Start(_Read):
    frame: Frame


class _PassedOver(_Read):
    iteration: int
    simulation: int


class Choice(_Read):
    """What ``inference.json`` says: which frames it chose, and by what."""

    strategy: str | None = None
    model: int | None = None
    starts: tuple[_Start, ...] = ()
    converged: bool = False
    remade: tuple[_Remade, ...] = ()
    passed_over: tuple[_PassedOver, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class RunFiles:
    """A run.

    Parameters
    ----------
    folder
        Its directory.
    trace
        What the engine has done; `None` without a journal that can be read.
    predicted_us
        Makespan to be expected of it, in microseconds; `None` where a duration was not known.
    mode, strategy
        How it was run, and how it chooses starts; ``unknown`` if nothing says so.
    first
        Iterations of the runs that it continues; they are on disk and not in its trace.
    source, molecule
        What was simulated in words, and a name of its atoms that is the same in all its runs.
    seen
        The frames of all blocks, without features; `None` if there are none.
    missing
        Simulations that left no frames, as iteration and number.
    records
        By iteration and simulation.
    models, choices, embeddings
        By iteration.
    problems
        What cannot be read, or is not there and should be; each names its file.
    """

    folder: Path
    trace: Trace | None
    predicted_us: int | None
    mode: str
    strategy: str
    first: int
    source: str | None
    molecule: str | None
    seen: Block | None
    missing: tuple[tuple[int, int], ...]
    records: Mapping[tuple[int, int], Record]
    models: Mapping[int, Learning]
    choices: Mapping[int, Choice]
    embeddings: Mapping[int, Embedding]
    problems: tuple[str, ...]

    @property
    def iterations(self) -> tuple[int, ...]:
        """Those that have left anything, in order."""
        seen = [] if self.seen is None else np.unique(self.seen.frames[:, 0]).tolist()
        records = (iteration for iteration, _ in self.records)
        return tuple(sorted({*seen, *records, *self.models, *self.choices}))

    @property
    def simulated_ps(self) -> float:
        """Simulated time of all simulations together."""
        return sum(one.frames * one.ps_per_frame for one in self.records.values())


def read_run(folder: str | Path) -> RunFiles:
    """Return what there is of a run."""
    return _Reading(Path(folder)).run()


class _Reading:
    """Reads file after file, and notes what cannot be read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.problems: list[str] = []

    def run(self) -> RunFiles:
        path = configuration_file(self.folder)
        configuration = self._tried(_configuration, path) or _Configuration()
        trace = self._tried(read_trace, self.folder / JOURNAL)
        records = self._of_simulations()
        models = self._by_iteration(loss_file, lambda path: read_model(Learning, path))
        choices = self._by_iteration(inference_file, lambda path: read_model(Choice, path))
        embeddings = self._by_iteration(latent_file, Embedding.read)
        blocks = self._blocks()
        seen = _joined(blocks)
        missing = tuple(chain.from_iterable(one.missing for one in blocks))
        self._note_left_out(records, choices, seen, missing)
        strategies = [choices[one].strategy for one in sorted(choices)][-1:]
        source, molecule = self._molecule()
        return RunFiles(
            folder=self.folder,
            trace=trace,
            predicted_us=None if trace is None else _predicted_us(trace),
            mode=configuration.loop.mode if trace is None else trace.mode,
            strategy=next(filter(None, strategies), configuration.inference.strategy),
            first=configuration.loop.first,
            source=source,
            molecule=molecule,
            seen=seen,
            missing=missing,
            records=records,
            models=models,
            choices=choices,
            embeddings=embeddings,
            problems=tuple(self.problems),
        )

    def _tried(self, read: Callable[[Path], Found], path: Path) -> Found | None:
        try:
            return read(path)
        except StrettoError as error:
            self.problems.append(str(error))
            return None

    def _folders(self) -> Iterator[tuple[int, Path]]:
        named = [
            (re.fullmatch(r"iteration-(\d+)", path.name), path)
            for path in self.folder.glob("data/iteration-*")
        ]
        yield from sorted((int(name[1]), path) for name, path in named if name)

    def _numbered(self, stem: str, suffix: str) -> Iterator[tuple[int, int, Path]]:
        """Return iteration, number and path of each file that is named so, in order."""
        for iteration, folder in self._folders():
            named = [
                (re.fullmatch(rf"{stem}-(\d+)\.{suffix}", path.name), path)
                for path in folder.glob(f"{stem}-*.{suffix}")
            ]
            for number, path in sorted((int(name[1]), path) for name, path in named if name):
                yield iteration, number, path

    def _by_iteration(
        self, place: Callable[[Path, int], Path], read: Callable[[Path], Found]
    ) -> dict[int, Found]:
        paths = {iteration: place(self.folder, iteration) for iteration, _ in self._folders()}
        found = {
            iteration: self._tried(read, path) for iteration, path in paths.items() if path.exists()
        }
        return {iteration: one for iteration, one in found.items() if one is not None}

    def _of_simulations(self) -> dict[tuple[int, int], Record]:
        found = {
            (iteration, number): self._tried(lambda path: read_model(Record, path), path)
            for iteration, number, path in self._numbered("simulation", "json")
        }
        return {name: record for name, record in found.items() if record is not None}

    def _blocks(self) -> list[Block]:
        blocks: list[Block] = []
        for _, _, path in self._numbered("aggregation", "h5"):
            block = self._tried(_block, path)
            if block is None:
                continue
            if blocks and _shape(block) != _shape(blocks[0]):
                self.problems.append(f"{path}: has other columns than the blocks before")
                continue
            blocks.append(block)
        return blocks

    def _note_left_out(
        self,
        records: Mapping[tuple[int, int], Record],
        choices: Mapping[int, Choice],
        seen: Block | None,
        missing: tuple[tuple[int, int], ...],
    ) -> None:
        """Note which simulations should be in a block and are not, and which have no record."""
        names = set() if seen is None else set(map(tuple, np.unique(seen.frames[:, :2], axis=0)))
        named = {(int(iteration), int(number)) for iteration, number in names}
        for iteration in sorted(choices):
            out = [
                number
                for (own, number) in sorted(records)
                if own == iteration and (own, number) not in named.union(missing)
            ]
            if out:
                numbers = ", ".join(map(str, out))
                self.problems.append(
                    f"{self.folder}: no block of iteration {iteration} that can be read has the "
                    f"frames of simulations {numbers}"
                )
        without = sorted(named - set(records))
        self.problems += [
            f"{self.folder}: frames of simulation {number} of iteration {iteration} have no "
            "record that can be read, so that their times are not known"
            for iteration, number in without
        ]

    def _molecule(self) -> tuple[str | None, str | None]:
        folder = system_folder(self.folder)
        system = self._tried(_json, folder / "system.json") or {}
        atoms = self._tried(_atoms, folder / "topology.pdb")
        source = system.get("source")
        source = source if isinstance(source, str) else None
        if atoms is None:
            return source, None
        n_atoms = system.get("n_solute_atoms")
        text = " ".join(atoms[: n_atoms if isinstance(n_atoms, int) else None])
        return source, hashlib.sha256(text.encode()).hexdigest()


def _configuration(path: Path) -> _Configuration:
    try:
        return _Configuration.model_validate(yaml.safe_load(path.read_text("utf-8")))
    except FileNotFoundError:
        raise StageError(f"{path}: no such file") from None
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise StageError(f"{path}: damaged or unreadable ({error})") from None


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise StageError(f"{path}: no such file") from None
    except (OSError, ValueError) as error:
        raise StageError(f"{path}: damaged or unreadable ({error})") from None
    if not isinstance(found, dict):
        raise StageError(f"{path}: expected an object")
    return found


def _atoms(path: Path) -> list[str]:
    """Return residue and name of each atom of a PDB file."""
    try:
        lines = path.read_text("utf-8").splitlines()
    except FileNotFoundError:
        raise StageError(f"{path}: no such file") from None
    except (OSError, ValueError) as error:
        raise StageError(f"{path}: damaged or unreadable ({error})") from None
    return [f"{one[17:20]}:{one[12:16]}" for one in lines if one.startswith(("ATOM", "HETATM"))]


def _block(path: Path) -> Block:
    block = Block.read(path)
    if block.frames.shape[1] != 3:
        raise StageError(f"{path}: expected iteration, simulation and frame in frames")
    return replace(block, features=np.empty((len(block), 0), np.float32))


def _shape(block: Block) -> tuple[object, ...]:
    optional = (block.rmsd_nm is None, block.native_contacts is None)
    return (block.phi_psi_rad.shape[1:], *optional)


def _joined(blocks: list[Block]) -> Block | None:
    if not blocks:
        return None
    first = blocks[0]
    values: dict[str, Any] = {
        name: None
        if getattr(first, name) is None
        else np.concatenate([getattr(block, name) for block in blocks])
        for name in ("features", "frames", "phi_psi_rad", "rmsd_nm", "native_contacts")
    }
    return Block(first.kind, **values)


def _predicted_us(trace: Trace) -> int | None:
    """Return what was to be expected with the same seed."""
    if not trace.workflow.durations_known:
        return None
    try:
        return simulate(
            trace.workflow,
            trace.platform,
            mode=trace.mode,
            seed=trace.seed,
            order=trace.order,
        ).ttx_us
    except StrettoError:
        return None
