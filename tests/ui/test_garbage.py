"""Garbage is collected in the thread of the window, whoever makes it."""

import gc
import subprocess
import sys
import threading
import weakref

from pytestqt.qtbot import QtBot

from dit_studio.ui import garbage


class Knot:
    """Refers to itself, so that only the collector can free it."""

    def __init__(self) -> None:
        self.me = self


def test_garbage_of_another_thread_dies_in_this_one(qtbot: QtBot) -> None:
    died_in: list[int] = []
    collector = garbage.GarbageCollector()
    assert not gc.isenabled()

    def make_garbage() -> None:
        for _ in range(500):
            weakref.finalize(Knot(), lambda: died_in.append(threading.get_ident()))

    thread = threading.Thread(target=make_garbage)
    thread.start()
    thread.join()
    qtbot.waitUntil(lambda: len(died_in) == 500)
    assert set(died_in) == {threading.get_ident()}
    collector.close()
    assert gc.isenabled()
    gc.disable()  # as the other tests want it


def test_what_lives_at_the_end_is_not_torn_apart_by_the_last_collection() -> None:
    program = """
import os, sys
from dit_studio.ui.garbage import leave_to_the_end
class Cycle:
    def __init__(self): self.me = self
    def __del__(self): os.write(1, b"torn")
kept = Cycle()
{call}
del kept
"""
    for call, said in (("leave_to_the_end()", b""), ("pass", b"torn")):
        ended = subprocess.run([sys.executable, "-c", program.format(call=call)], capture_output=True, check=True)
        assert ended.stdout == said
