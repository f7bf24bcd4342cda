"""The dynamics of one molecule: a live OpenMM context that is begun, loaded, advanced and saved.

Every frame is looked at.  An integrator that has lost the molecule shows it in the energy first,
then in positions that are no numbers; either is an `ExplosionError`.

Where OpenMM can repeat a computation to the bit, `load` makes the context anew, so that a stretch
depends on the state and the seed it was loaded with and on nothing that went before.  On a GPU,
where sums come out differently each time, that would only cost seconds, so the context goes on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stretto.apps.deepdrivemd.arguments import extra
from stretto.apps.deepdrivemd.files import StageError
from stretto.apps.deepdrivemd.simulating.settings import SimulationSettings
from stretto.apps.deepdrivemd.simulating.starts import Start

__all__ = ["Dynamics", "ExplosionError", "Snapshot"]

_REPEATABLE = ("Reference", "CPU")
_TOLERANCE = 1e-6
"""Relative error of constraints after a start was read from a file with rounded positions."""


class ExplosionError(StageError):
    """The molecule was lost; `potential_kj_mol` says how, if it was a number."""

    def __init__(self, message: str, potential_kj_mol: float | None = None) -> None:
        super().__init__(message)
        self.potential_kj_mol = potential_kj_mol


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """A frame: positions, box vectors as rows, potential energy."""

    positions_nm: NDArray[np.float64]
    box_nm: NDArray[np.float64]
    potential_kj_mol: float


class Dynamics:
    """Langevin dynamics of a system on a platform.

    Parameters
    ----------
    system
        OpenMM's ``System``; seeds and temperatures of its random forces are set.
    settings
        Temperatures, step and the like.
    platform, properties
        OpenMM's platform and its properties.
    """

    def __init__(
        self,
        system: Any,
        settings: SimulationSettings,
        platform: str,
        properties: dict[str, str],
    ) -> None:
        openmm = extra("openmm")
        self._system = system
        self._settings = settings
        self._integrator = openmm.LangevinMiddleIntegrator(
            settings.temperature_k, settings.friction_per_ps, settings.step_fs / 1000
        )
        # Barostats and thermostats of the system have a temperature of their own.
        self._others = [one for one in system.getForces() if hasattr(one, "setDefaultTemperature")]
        for force in self._others:
            force.setDefaultTemperature(settings.temperature_k)
        self._seeded(1)
        self._repeatable = platform in _REPEATABLE
        self._context = openmm.Context(
            system, self._integrator, openmm.Platform.getPlatformByName(platform), properties
        )
        self._live = False

    def begin(
        self, start: Start, seeds: tuple[int, ...], *, mend: bool, suspect: bool
    ) -> tuple[str, bool]:
        """Make a start ready: a structure is shaken, a chosen frame is given velocities only.

        A chosen frame is an equilibrated one and chosen for being rare: to minimise it would walk
        it back into a basin.

        Parameters
        ----------
        start
            The start.
        seeds
            Of the random numbers.
        mend
            Whether to minimise a chosen frame that has a clash.
        suspect
            Whether to minimise a chosen frame at all events: in much solvent the energy hides a
            small clash.

        Returns
        -------
        tuple
            The state, and whether a chosen frame was minimised.

        Raises
        ------
        ExplosionError
            If shaking lost the molecule.
        StageError
            If the start has a clash; names its file.
        """
        noise, shaking, velocities = _draws(seeds, 3)
        self._renew(noise)
        if start.box_nm is not None:
            self._context.setPeriodicBoxVectors(*start.box_nm)
        self._context.setPositions(start.positions_nm)
        self._context.applyConstraints(_TOLERANCE)
        self._context.computeVirtualSites()
        from_structure = start.origin.kind == "structure"
        clash = not self._good(self._snapshot())
        minimised = from_structure or suspect or (clash and mend)
        if minimised:
            extra("openmm").LocalEnergyMinimizer.minimize(self._context)
        snapshot = self._snapshot()
        if not self._good(snapshot):
            raise StageError(
                f"{start.file}: not a start, its potential energy is "
                f"{snapshot.potential_kj_mol:.4g} kJ/mol for {len(snapshot.positions_nm)} atoms"
            )
        if from_structure and self._settings.hot_steps:
            self._shake(shaking)
        self._context.setVelocitiesToTemperature(self._settings.temperature_k, velocities)
        return self.saved(), minimised and not from_structure

    def load(self, state: str, seeds: tuple[int, ...], *, fresh_velocities: bool = False) -> None:
        """Go on from a state, with random numbers drawn from `seeds`."""
        if self._live and not self._repeatable:
            return
        noise, velocities = _draws(seeds, 2)
        self._renew(noise)
        self._context.setState(extra("openmm").XmlSerializer.deserialize(state))
        if fresh_velocities:
            self._context.setVelocitiesToTemperature(self._settings.temperature_k, velocities)
        self._live = True

    def advance(self) -> Snapshot:
        """Return the next frame.

        Raises
        ------
        ExplosionError
            If the molecule was lost on the way.
        """
        snapshot = self._stepped(self._settings.report_every)
        if not self._good(snapshot):
            raise _explosion(snapshot.potential_kj_mol)
        return snapshot

    def saved(self) -> str:
        """Return the state, which `load` takes."""
        state = self._context.getState(positions=True, velocities=True, parameters=True)
        return str(extra("openmm").XmlSerializer.serialize(state))

    def _shake(self, seed: int) -> None:
        settings = self._settings
        self._heat(settings.hot_temperature_k)
        self._context.setVelocitiesToTemperature(settings.hot_temperature_k, seed)
        snapshot = self._stepped(settings.hot_steps)
        self._heat(settings.temperature_k)
        if not self._good(snapshot):
            raise _explosion(snapshot.potential_kj_mol)

    def _heat(self, temperature_k: float) -> None:
        self._integrator.setTemperature(temperature_k)
        for force in self._others:
            self._context.setParameter(force.Temperature(), temperature_k)

    def _stepped(self, steps: int) -> Snapshot:
        try:
            self._integrator.step(steps)
            return self._snapshot()
        except extra("openmm").OpenMMException as error:
            if "nan" in str(error).lower():
                raise _explosion(None) from None
            raise

    def _snapshot(self) -> Snapshot:
        unit = extra("openmm.unit")
        state = self._context.getState(positions=True, energy=True)
        box = state.getPeriodicBoxVectors(asNumpy=True)
        return Snapshot(
            state.getPositions(asNumpy=True).value_in_unit(unit.nanometer),
            box.value_in_unit(unit.nanometer),
            float(state.getPotentialEnergy().value_in_unit(unit.kilojoule_per_mole)),
        )

    def _good(self, snapshot: Snapshot) -> bool:
        most = self._settings.most_potential_kj_mol * len(snapshot.positions_nm)
        return bool(
            np.isfinite(snapshot.positions_nm).all()
            and -np.inf < snapshot.potential_kj_mol <= most  # false for what is no number
        )

    def _renew(self, seed: int) -> None:
        self._seeded(seed)
        self._context.reinitialize()

    def _seeded(self, seed: int) -> None:
        self._integrator.setRandomNumberSeed(seed)
        for force in self._system.getForces():
            if hasattr(force, "setRandomNumberSeed"):
                force.setRandomNumberSeed(seed)


def _explosion(potential_kj_mol: float | None) -> ExplosionError:
    if potential_kj_mol is None or not np.isfinite(potential_kj_mol):
        return ExplosionError("the molecule exploded: its energy is no number")
    return ExplosionError(
        f"the molecule exploded ({potential_kj_mol:.4g} kJ/mol)", potential_kj_mol
    )


def _draws(seeds: tuple[int, ...], count: int) -> tuple[int, ...]:
    # OpenMM takes a seed of 0 for "choose one yourself", and one is an int of 32 bits.
    drawn = np.random.SeedSequence(seeds).generate_state(count) % (2**31 - 1) + 1
    return tuple(int(one) for one in drawn)
