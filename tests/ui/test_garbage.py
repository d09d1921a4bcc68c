"""Garbage is collected in the thread of the window, whoever makes it."""

import gc
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
