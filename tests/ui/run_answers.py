"""Somebody who answers what the Runs page asks."""

from collections.abc import Callable, Sequence
from pathlib import Path

from dit_studio.jobs.run_archive import Checkpoints
from dit_studio.jobs.run_label import Label
from dit_studio.ui.runs.dialogs import RunDialogs


class Answers:
    """What a user would answer, and what was shown to them."""

    def __init__(self) -> None:
        self.says_yes = True
        self.questions: list[str] = []
        self.folders: list[Path] = []
        self.trash: Callable[[Path], bool] = lambda _path: False
        self.label: Label | None = None
        self.tags: tuple[tuple[str, ...], tuple[str, ...]] | None = None
        self.known_tags: Sequence[str] = ()
        self.export: tuple[str, Checkpoints] = ("", "all")
        self.file = ""

    def dialogs(self) -> RunDialogs:
        return RunDialogs(
            confirm=self.confirm,
            name=lambda _page, _row: self.label,
            tags=self.ask_for_tags,
            file_to_export=lambda _page, _name: self.export,
            file_to_import=lambda _page: self.file,
            file_to_save=lambda _page, _name, _kinds: self.file,
            show_folder=self.folders.append,
            move_to_trash=lambda path: self.trash(path),
        )

    def ask_for_tags(
        self, _page: object, _rows: object, known: Sequence[str]
    ) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
        self.known_tags = known
        return self.tags

    def confirm(self, _page: object, question: str) -> bool:
        self.questions.append(question)
        return self.says_yes
