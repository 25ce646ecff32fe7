"""``python -m mmgraph``, which is how ``torchrun`` starts the command line."""

from __future__ import annotations

import sys

from mmgraph.cli import main

if __name__ == "__main__":
    sys.exit(main())
