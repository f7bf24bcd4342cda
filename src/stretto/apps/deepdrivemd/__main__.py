"""``python -m stretto.apps.deepdrivemd``: the quickstart."""

from __future__ import annotations

import sys
import time
from datetime import datetime
from pathlib import Path

from rich.console import Console

from stretto import StrettoError
from stretto.apps.deepdrivemd.quickstart import quickstart


def main() -> None:
    """Run the quickstart in a fresh folder under ``runs`` and say where its report is."""
    console = Console(highlight=False)
    stamp = f"{datetime.now().astimezone():%Y%m%d-%H%M%S}"
    folder = Path("runs").absolute() / f"quickstart-{stamp}"
    began = time.monotonic()
    try:
        report = quickstart(folder, console=console)
    except StrettoError as error:
        Console(stderr=True).print(f"quickstart: {error}", markup=False)
        sys.exit(1)
    console.print(f"Done in {time.monotonic() - began:.0f} s. The report: {report}", soft_wrap=True)


if __name__ == "__main__":
    main()
