"""Blocks and trajectories of DeepDriveMD, fabricated: points of known places, in real files."""

import json

import mdtraj
import numpy as np

from stretto.apps.deepdrivemd.blocks import Block
from stretto.apps.deepdrivemd.places import (
    block_file,
    inference_file,
    loss_file,
    system_folder,
    trajectory_file,
)

ATOMS = 4


def positions(coordinate):
    """Return frames of a chain of four atoms that opens with `coordinate`, shape (n, 4, 3)."""
    coordinate = np.asarray(coordinate, dtype=np.float64)
    found = np.zeros((len(coordinate), ATOMS, 3))
    found[:, :, 0] = 0.3 * np.arange(ATOMS)
    found[:, 2, 1] = coordinate
    found[:, 3, 1] = 2 * coordinate
    return found


def distances(frames_nm):
    """Return the distances of all pairs of atoms, shape (n, 6)."""
    one, other = np.triu_indices(ATOMS, 1)
    return np.linalg.norm(frames_nm[:, one] - frames_nm[:, other], axis=-1).astype(np.float32)


def names(iteration, simulations, frames):
    return np.array(
        [[iteration, one, frame] for one in range(simulations) for frame in range(frames)],
        dtype=np.int64,
    )


def write_block(run_dir, iteration, features, *, simulations=2, number=0, kind=None, **values):
    """Write a block of as many frames of each simulation; a reference only if `values` has it."""
    n_frames = len(features) // simulations
    values = {name: np.asarray(value, dtype=np.float32) for name, value in values.items()}
    Block(
        kind or ("contacts" if features.ndim == 3 else "distances"),
        features,
        names(iteration, simulations, n_frames),
        np.zeros((len(features), 0, 2), dtype=np.float32),
        **values,
    ).write(block_file(run_dir, iteration, number))


def write_system(run_dir):
    """Write the structure of the chain of four atoms."""
    topology = mdtraj.Topology()
    chain = topology.add_chain()
    for _ in range(ATOMS):
        residue = topology.add_residue("HSD", chain)
        topology.add_atom("CA", mdtraj.element.carbon, residue)
    path = system_folder(run_dir) / "topology.pdb"
    path.parent.mkdir(parents=True, exist_ok=True)
    mdtraj.Trajectory(positions([0.0]), topology).save_pdb(str(path))
    return topology


def write_iteration(run_dir, iteration, coordinates, *, blocks=True, **values):
    """Write trajectories, one for each row of `coordinates`, and their block; return the frames."""
    topology = write_system(run_dir)
    frames_nm = positions(np.ravel(coordinates))
    simulations = len(coordinates)
    if blocks:
        write_block(run_dir, iteration, distances(frames_nm), simulations=simulations, **values)
    for number, part in enumerate(np.split(frames_nm, simulations)):
        path = trajectory_file(run_dir, iteration, number)
        path.parent.mkdir(parents=True, exist_ok=True)
        mdtraj.Trajectory(part, topology).save_dcd(str(path))
    return frames_nm.reshape(simulations, -1, ATOMS, 3)


def record_of(path):
    return json.loads(path.read_text())


def choice(run_dir, iteration):
    return record_of(inference_file(run_dir, iteration))


def learnt(run_dir, iteration):
    return record_of(loss_file(run_dir, iteration))
