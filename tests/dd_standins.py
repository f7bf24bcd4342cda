"""Stages of somebody else's, as programs and as functions: files in, files out, no chemistry.

A "trajectory" is a text with one number a line, a block the numbers of all trajectories, a model
their mean, and the chosen starts are PDB files with a remark.
"""

import json
import sys
from pathlib import Path


def simulate(start: Path, trajectory: Path, record: Path, task: int, length: int = 3) -> None:
    began = "chosen" if "REMARK chosen" in Path(start).read_text() else "structure"
    Path(trajectory).write_text("\n".join(str(task + n / 10) for n in range(length)))
    said = {"frames": length, "ps_per_frame": 1, "parent": None, "began": began}
    Path(record).write_text(json.dumps(said))


def aggregate(data: Path, block: Path) -> None:
    texts = [one.read_text() for one in sorted(Path(data).glob("simulation-*.dcd"))]
    Path(block).write_text("\n".join(texts))


def train(data: Path, model: Path, before: Path | None, settings: dict, offset: float) -> None:
    numbers = [
        float(line)
        for one in sorted(Path(data).glob("aggregation-*.h5"))
        for line in one.read_text().split()
    ]
    learnt = {"mean": sum(numbers) / len(numbers) + offset, "latent": settings["latent"]}
    learnt["before"] = None if before is None else json.loads(before.read_text())["iteration"]
    learnt["iteration"] = int(Path(data).name.removeprefix("iteration-"))
    Path(model).write_text(json.dumps(learnt))


def infer(data: Path, inference: Path, simulations: int, until: int | None = None) -> None:
    iteration = int(Path(data).name.removeprefix("iteration-"))
    for number in range(simulations):
        (Path(data) / f"start-{number:03}.pdb").write_text(f"REMARK chosen by {iteration}\n")
    Path(inference).write_text(json.dumps({"converged": iteration == until}))


def silent(data: Path, inference: Path, simulations: int) -> None:
    infer(data, inference, simulations)
    Path(inference).write_text(json.dumps({"converged": "perhaps"}))


def forgetful() -> None:
    """Write nothing."""


def wanting(colour: str) -> None:
    """Ask for what there is not."""


def main() -> None:
    match sys.argv[1:]:
        case ["simulate", start, trajectory, record, task]:
            simulate(Path(start), Path(trajectory), Path(record), int(task))
        case ["aggregate", data, block]:
            aggregate(Path(data), Path(block))
        case ["train", data, model, before]:
            train(
                Path(data),
                Path(model),
                None if before == "none" else Path(before),
                {"latent": 0},
                0,
            )
        case ["infer", data, inference, simulations]:
            infer(Path(data), Path(inference), int(simulations))
        case ["fail", _]:
            sys.exit(7)


if __name__ == "__main__":
    main()
