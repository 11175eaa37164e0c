"""A benchmark that measures once and then fails; with ``--late`` it never ends."""

import sys
import time
from pathlib import Path

from benchmarks.rows import Row, Sheet

if __name__ == "__main__":
    Sheet("broken", Path(sys.argv[-1])).add(Row("capture time", "a model", 128, "attnscope", "ms", (3.0,)))
    if "--late" in sys.argv:
        time.sleep(600)
    raise ZeroDivisionError("nothing to divide by")
