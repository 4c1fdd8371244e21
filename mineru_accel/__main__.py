"""``python -m mineru_accel``."""

import sys

from .cli import main

sys.exit(main())
