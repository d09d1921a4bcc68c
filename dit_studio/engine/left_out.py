"""Files left out of a data set, each with its reason."""

from collections.abc import Iterable

from dit_studio.events import FileProblem

_LIMIT = 1000


class LeftOut:
    """The first thousand files, and how many there are in all."""

    def __init__(self, problems: Iterable[FileProblem] = (), *, count: int = 0) -> None:
        self._problems = list(problems)
        self.count = count

    @property
    def problems(self) -> tuple[FileProblem, ...]:
        return tuple(self._problems)

    def add(self, file: str, reason: str) -> None:
        self.count += 1
        if len(self._problems) < _LIMIT:
            self._problems.append(FileProblem(file=shown(file), reason=shown(reason)))

    def extend(self, others: "LeftOut") -> None:
        self.count += others.count
        self._problems.extend(others.problems[: _LIMIT - len(self._problems)])

    def sentence(self, total: int) -> str:
        """For instance "2 of 10 files were left out: a.jpg (empty: …); b.txt (not an image …)."."""
        named = "; ".join(f"{problem.file} ({problem.reason})" for problem in self._problems[:3])
        more = f"; and {self.count - 3:,} more" if self.count > 3 else ""
        verb = "was" if self.count == 1 else "were"
        return f"{self.count:,} of {total:,} files {verb} left out: {named}{more}."


def shown(name: str) -> str:
    """The name as JSON and a window can hold it: bytes that are not UTF-8 are written as \\udc.. escapes."""
    return name.encode("utf-8", "backslashreplace").decode()
