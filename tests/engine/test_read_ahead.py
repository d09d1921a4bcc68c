"""Reading ahead: the same items, drawn before they are asked for, and nothing left running."""

import threading
from collections.abc import Generator

import pytest

from dit_studio.engine.evaluation.read_ahead import read_ahead


def _counting(last: int, drawn: list[int], closed: threading.Event) -> Generator[int, None, None]:
    try:
        for number in range(1, last + 1):
            drawn.append(number)
            yield number
        if last == 3:
            raise ValueError("three")
    finally:
        closed.set()


@pytest.mark.parametrize("last", [0, 1, 2, 50])
@pytest.mark.parametrize("depth", [1, 4])
def test_the_same_items_in_order(last: int, depth: int) -> None:
    assert list(read_ahead(_counting(last, [], threading.Event()), depth=depth)) == list(range(1, last + 1))


def test_items_are_drawn_before_they_are_asked_for() -> None:
    third_is_drawn = threading.Event()

    def items() -> Generator[int, None, None]:
        yield 1
        yield 2
        third_is_drawn.set()
        yield 3

    ahead = read_ahead(items(), depth=2)
    assert next(ahead) == 1
    assert third_is_drawn.wait(10)
    assert list(ahead) == [2, 3]


def test_closing_closes_the_source_and_its_thread() -> None:
    drawn: list[int] = []
    closed = threading.Event()
    ahead = read_ahead(_counting(1000, drawn, closed), depth=2)
    next(ahead)
    ahead.close()
    assert closed.is_set()
    assert len(drawn) <= 4
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("read-ahead")]


def test_an_error_comes_after_the_items_before_it() -> None:
    seen: list[int] = []
    with pytest.raises(ValueError, match="three"):
        seen.extend(read_ahead(_counting(3, [], threading.Event())))
    assert seen == [1, 2, 3]
