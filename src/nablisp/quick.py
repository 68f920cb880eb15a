"""NumPy, imported without the 50 ms in which OpenBLAS's new threads spin on the cores we start on.

OpenBLAS reads this setting once, while it loads; the environment is left as it was.
"""

import os

_NAME = "OPENBLAS_THREAD_TIMEOUT"

if _NAME not in os.environ:
    os.environ[_NAME] = "20"
    import numpy  # noqa: F401

    del os.environ[_NAME]
