"""`python -m dit_studio` is `dit-studio`."""

import sys

from dit_studio.cli import main

if __name__ == "__main__":
    sys.exit(main())
