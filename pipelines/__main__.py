"""`python -m pipelines` is `regrasp`."""

import sys

from pipelines.cli import main

sys.exit(main())
