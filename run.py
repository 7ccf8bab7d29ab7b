"""python run.py model=mlp activation=gelu  (the same as: nnspec run model=mlp activation=gelu)"""

import sys

from nnspec.cli import main

if __name__ == "__main__":
    sys.argv.insert(1, "run")
    sys.exit(main())
