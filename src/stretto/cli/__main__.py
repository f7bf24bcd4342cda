"""``python -m stretto.cli``: the same as ``stretto``."""

from stretto.cli.app import main

main()
