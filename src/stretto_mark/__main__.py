"""``python -m stretto_mark idle|busy``, where the command is not installed."""

import sys

from stretto_mark import main

sys.exit(main())
