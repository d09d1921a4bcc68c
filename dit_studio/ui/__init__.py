"""The window: PySide6 and pyqtgraph; never torch, never the engine."""

import ctypes
import sys

# PySide6 6.12.0 gives up a reference to True that it does not own whenever a signal is emitted. Before Python 3.12, whose
# True never dies, a thousand signals then end the process ("deallocating True or False").
if sys.version_info < (3, 12):
    ctypes.c_ssize_t.from_address(id(True)).value += 2**30
