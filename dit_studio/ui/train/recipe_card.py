"""The recipe card: ready-made settings to start from, and settings kept in files."""

import logging
from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QWidget

from dit_studio.config import Recipe, dump_recipe, load_recipe
from dit_studio.errors import StudioError
from dit_studio.files import write_atomically
from dit_studio.places import resources_dir
from dit_studio.ui.train.dialogs import Dialogs
from dit_studio.ui.widgets.basics import Caption, NoScrollComboBox, button, describe
from dit_studio.ui.widgets.card import Card
from dit_studio.ui.widgets.message import MessageCard

_log = logging.getLogger(__name__)
_MOST_SHOWN = 20  # recipes at once


class RecipeCard(Card):
    """`chosen` carries a recipe to show; `current` gives the settings as they are, if they are possible."""

    chosen = Signal(object)  # Recipe

    def __init__(self, dialogs: Dialogs, current: Callable[[], Recipe | None], parent: QWidget | None = None) -> None:
        super().__init__("Recipe", parent=parent)
        self._dialogs, self._current = dialogs, current
        self.list = NoScrollComboBox()
        self.list.setMaxVisibleItems(_MOST_SHOWN)
        describe(self.list, "Start from a recipe", "Settings that suit a purpose. The images stay as they are.")
        self.about, self._message = Caption(), MessageCard()
        self._fill()
        self.list.activated.connect(self._on_activated)
        opened = button("Open…", "Open the settings in a recipe file or in a run's run.toml.")
        opened.clicked.connect(self._on_open)
        saved = button("Save as…", "Save the settings as a recipe file, for the command line or for later.")
        saved.clicked.connect(self._on_save)
        for button_ in (opened, saved):
            self.add_action(button_)
        for widget in (self.list, self.about, self._message):
            self.body.addWidget(widget)

    def load(self, path: Path) -> None:
        """Show the settings of a file; a file that cannot be used is named."""
        try:
            recipe = load_recipe(path)
        except StudioError as error:
            self._message.show_notice(str(error), level="error")
            return
        self._message.clear()
        self._say(recipe.about)
        self.chosen.emit(recipe)

    def _fill(self) -> None:
        self.list.addItem("Start from a recipe…")
        self._say("")
        for path in sorted((resources_dir() / "recipes").glob("*.toml"), key=lambda path: path.stem):
            try:
                about = load_recipe(path).about
            except StudioError as error:
                _log.warning("%s", error)
                continue
            self.list.addItem(path.stem.replace("-", " ").capitalize(), path)
            self.list.setItemData(self.list.count() - 1, about, Qt.ItemDataRole.ToolTipRole)

    def _on_activated(self, number: int) -> None:
        path = self.list.itemData(number)
        if path is not None:
            self.load(Path(path))

    def _on_open(self) -> None:
        if path := self._dialogs.recipe_to_open(str(Path.home())):
            self.list.setCurrentIndex(0)
            self.load(Path(path))

    def _on_save(self) -> None:
        recipe = self._current()
        if recipe is None:
            self._message.show_notice("Settings that are not possible cannot be saved as a recipe.", level="warning")
            return
        if path := self._dialogs.recipe_to_save(str(Path.home() / "recipe.toml")):
            self._save(recipe, Path(path).with_suffix(".toml"))

    def _save(self, recipe: Recipe, path: Path) -> None:
        try:
            write_atomically(path, dump_recipe(recipe).encode())
        except StudioError as error:
            self._message.show_notice(str(error), level="error")
        else:
            self._message.show_notice(f"Saved as {path}.")

    def _say(self, about: str) -> None:
        self.about.setText(about)
        self.about.setVisible(bool(about))
