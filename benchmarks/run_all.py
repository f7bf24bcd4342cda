"""Run every benchmark, one after another, each in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ALL = (
    "simulation",
    "planning",
    "psplib",
    "launching",
    "functions",
    "emulation",
    "adaptive",
    "folding",
    "folding_modes",
    "predicting",
)


def main() -> None:
    folder = Path(__file__).parent
    for name in ALL:
        subprocess.run([sys.executable, folder / f"{name}.py"], check=True)


if __name__ == "__main__":
    main()
