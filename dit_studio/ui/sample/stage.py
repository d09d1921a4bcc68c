"""The centre of the Sample page: the images, the picked one in large, and the slider over its steps."""

from collections.abc import Sequence
from itertools import pairwise

from PySide6.QtCore import QEvent, QObject, QPoint, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QFocusEvent, QHideEvent, QKeyEvent, QResizeEvent, QShowEvent
from PySide6.QtWidgets import QStackedWidget, QToolButton, QVBoxLayout, QWidget

from dit_studio.ui import theme
from dit_studio.ui.icons import icon
from dit_studio.ui.sample.attention_panel import AttentionPanel
from dit_studio.ui.sample.axis_switch import AxisSwitch
from dit_studio.ui.sample.film import Film
from dit_studio.ui.sample.image_grid import ImageGrid
from dit_studio.ui.sample.playback import Playback
from dit_studio.ui.sample.playback_bar import LiveChip, PlaybackBar, tool
from dit_studio.ui.sample.scrubber import Scrubber
from dit_studio.ui.sample.stage_split import StageSplit
from dit_studio.ui.sample.viewer import Viewer
from dit_studio.ui.widgets.basics import Caption, ElidedLabel, EmptyState, button, describe, row
from dit_studio.ui.widgets.flow import FlowLayout

_ABOUT_BRANCH = "Go on from the xₜ of this step with another class, CFG, seed or sampler (B)."
_ABOUT_GUIDANCE = "Show the predictions with and without the class, and what guidance adds (U)."
_ABOUT_HEADS = "Show where each head of a block looks from a patch of the image, at this step (H)."
_NOT_YET = "\nOff: the images are still being drawn."
_REFRESH_MS = 16  # a growing film is painted at most this often
_MOST_ICON = 20  # pixels
_STEP_KEYS = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1}
_PAGE = 5  # steps that Shift and an arrow go
_ENDS = {Qt.Key.Key_Home: 1, Qt.Key.Key_End: 10**9}


class Stage(QWidget):
    """Shows a film. While it grows, the newest step is followed until the user scrubs."""

    branch_asked = Signal(int, int)  # image, step
    image_picked = Signal(int)
    menu_asked = Signal(int, QPoint)  # an image, and where on the screen
    star_toggled = Signal(int)
    compare_asked = Signal(int)

    def __init__(self, parent: QWidget | None = None, *, extra: QWidget | None = None) -> None:
        """`extra` stands among the buttons below the slider."""
        super().__init__(parent)
        self._film: Film | None = None
        self._image, self._step = 0, 1
        self._is_live, self._follows = False, False
        self._stars: set[int] = set()
        self.grid, self.viewer, self.scrubber = ImageGrid(), Viewer(), Scrubber()
        self.attention = AttentionPanel()
        self.playback = Playback(self)
        self.playback_bar, self.live = PlaybackBar(self.playback), LiveChip()
        self._caption, self._readout, self._memory = (
            ElidedLabel(role="title"),
            ElidedLabel(role="title"),
            Caption(wraps=False),
        )
        self.branch = button("Branch from here", _ABOUT_BRANCH)
        self.guidance = button("Guidance", _ABOUT_GUIDANCE)
        self.axis = AxisSwitch()
        self.every = tool(
            "grid", "All at this step", "Scrub every image of the grid; off: each as far as it is.", checkable=True
        )
        self.layout_button = tool(
            "layout", "Layout", "All images and the picked one, all alone, or the picked one alone (G)."
        )
        self.star = tool("star", "Star", "Keep this image among the favourites (S).", checkable=True)
        self.compare = tool("pin", "Pin for comparison", "Pin this image in the comparison (C).")
        self.heads = tool("attention", "Attention", _ABOUT_HEADS, checkable=True)
        self._pages, self._pictures, self._lower = QStackedWidget(), QStackedWidget(), QWidget()
        self._split = StageSplit(self.grid, self._lower, self._pictures, self.scrubber)
        self._refresh_timer = QTimer(self, singleShot=True, interval=_REFRESH_MS)
        self._is_stale = False
        self._build(extra)
        self._connect()
        self.show_film(None)

    # --------------------------------------------------------------------------------------------- the film

    @property
    def film(self) -> Film | None:
        return self._film

    @property
    def current_image(self) -> int:
        return self._image

    @property
    def current_step(self) -> int:
        """From 1."""
        return self._step

    @property
    def follows(self) -> bool:
        """Whether the newest step of a growing film is followed."""
        return self._is_live and self._follows

    def show_film(
        self,
        film: Film | None,
        *,
        image: int = 0,
        live: bool = False,
        class_names: tuple[str, ...] = (),
        memory: str = "",
        step: int | None = None,
    ) -> None:
        """Show a film at a step, or at its newest; None: nothing yet. `live`: it is being drawn."""
        self.playback.pause()
        self._film, self._is_live, self._follows = film, live, live
        self._image = min(image, max(film.images - 1, 0)) if film else 0
        self._pages.setCurrentIndex(1 if film is not None and film.images else 0)
        self._memory.setText(memory)
        self.grid.show_film(film, class_names, self._image)
        self.viewer.show_film(film)
        self._step = min(step or 10**9, max(self._steps_done(), 1))
        has_many = film is not None and film.images > 1
        self.layout_button.setVisible(has_many)
        self._show_all()
        self._split.show_one_or_many(has_many=has_many)

    def film_grew(self) -> None:
        """Frames or finished images arrived."""
        if not self.isVisible() or self._refresh_timer.isActive():
            self._is_stale = True
            return
        self._refresh_timer.start()
        self._take_in()

    def film_ended(self) -> None:
        """Nothing more comes: drawn, stopped or failed."""
        self._take_in()
        self._is_live = False
        self._show_all()

    def set_stars(self, stars: set[int]) -> None:
        """The images that are favourites."""
        self._stars = stars
        self.grid.set_stars(stars)
        self._show_star()

    def seek(self, step: int) -> None:
        """Show a step, as a user does who asks for it: playing stops, and the newest is followed no more."""
        self.playback.pause()
        self._follows = False
        self._go_to(step)

    def pick(self, image: int) -> None:
        """Show another image in large, at the same step."""
        if self._film is None or not 0 <= image < self._film.images or image == self._image:
            return
        self._image = image
        self.grid.mark(image)
        self._step = self._steps_done() if self.follows else min(self._step, max(self._steps_done(), 1))
        self._show_all()
        self.image_picked.emit(image)

    def _steps_done(self) -> int:
        return self._film.steps_done(self._image) if self._film else 0

    def _take_in(self) -> None:
        self._is_stale = False
        if self.follows:
            self._step = max(self._steps_done(), 1)
        self._show_all()

    def _go_to(self, step: int) -> None:
        self._step = min(max(step, 1), max(self._steps_done(), 1))
        self._show_step()

    # --------------------------------------------------------------------------------------------- showing

    def _show_all(self) -> None:
        """After the film, the image or how much there is of it changed."""
        film = self._film
        has_steps = film is not None and bool(film.points)
        self.scrubber.show_film(film, self._image)
        for widget in (self.scrubber, self.playback_bar, self._readout, self.axis, self.every):
            widget.setVisible(has_steps)
        self._caption.setText(self.grid.caption(self._image))
        self.live.setVisible(self._is_live)
        self.heads.setVisible(has_steps)
        shows_heads = has_steps and self.heads.isChecked()
        self._pictures.setCurrentWidget(self.attention if shows_heads else self.viewer)
        self._memory.setVisible(not shows_heads)
        self._split.let_grid_give_way(gives_way=shows_heads)
        self.guidance.setVisible(self.viewer.has_guidance and not shows_heads)
        self.branch.setVisible(has_steps)
        self.branch.setEnabled(not self._is_live)
        self.branch.setToolTip(_ABOUT_BRANCH + (_NOT_YET if self._is_live else ""))
        self.grid.refresh()
        self._show_star()
        self._show_step()

    def _show_step(self) -> None:
        self.playback.step, self.playback.last = self._step, max(self._steps_done(), 1)
        self.live.setChecked(self._follows)
        self.scrubber.setValue(self._step)
        self._readout.setText(self.scrubber.text)
        self.viewer.show_step(self._image, self._step)
        picture = self._film.picture("x_start", self._image, self._step) if self._film else None
        self.attention.show_moment(self._film, self._image, self._step, picture)
        plane = "x_t" if self.viewer.focus == "x_t" else "x_start"
        self.grid.set_step(self._step, plane=plane, is_at_step=self.every.isChecked() and not self.follows)

    def _show_star(self) -> None:
        is_starred = self._image in self._stars
        self.star.setChecked(is_starred)
        self.star.setIcon(icon("star-filled", theme.current().curves[1]) if is_starred else icon("star"))

    # --------------------------------------------------------------------------------------------- the user

    def keyPressEvent(self, event: QKeyEvent) -> None:
        key = Qt.Key(event.key())
        is_shifted = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
        if self._film is None or event.modifiers() & ~(
            Qt.KeyboardModifier.ShiftModifier | Qt.KeyboardModifier.KeypadModifier
        ):
            super().keyPressEvent(event)
        elif key in _STEP_KEYS:
            self.seek(self._step + _STEP_KEYS[key] * (_PAGE if is_shifted else 1))
        elif key in _ENDS:
            self.seek(_ENDS[key])
        elif Qt.Key.Key_1 <= key <= Qt.Key.Key_9:
            self.pick(key - Qt.Key.Key_1)
        elif key in self._actions:
            self._actions[key]()
        else:
            super().keyPressEvent(event)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """On the controls below the grid, too, arrows step: Qt would go to the control beside it."""
        if isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress and event.key() in _STEP_KEYS | _ENDS:
            self.keyPressEvent(event)
            return True
        return super().eventFilter(watched, event)

    def focusInEvent(self, event: QFocusEvent) -> None:
        """No focus proxy: with one, Tab from above would go past all that is above the slider."""
        super().focusInEvent(event)
        self.scrubber.setFocus(event.reason())

    def _on_play_moved(self, step: int) -> None:
        self._follows = False
        self._go_to(step)

    def _on_followed_again(self) -> None:
        self.playback.pause()
        self._follows = True
        self._take_in()

    def _on_every_toggled(self) -> None:
        self._show_step()

    def _on_guidance_toggled(self, shows: bool) -> None:
        self.viewer.show_guidance(shows)

    def _on_heads_toggled(self) -> None:
        self._show_all()
        self.attention.ask()

    def _toggle_heads(self) -> None:
        if self.heads.isVisible():
            self.heads.toggle()

    def _toggle_guidance(self) -> None:
        if self.guidance.isVisible():
            self.guidance.toggle()

    def _next_focus(self) -> None:
        self.viewer.next_focus()
        self._show_step()

    def _open(self, image: int) -> None:
        """Show an image alone; if it is that already, all of them again."""
        self.pick(image)
        self._split.open_alone()
        self._keep_focus()

    def _ask_branch(self) -> None:
        if self.branch.isEnabled() and self._film is not None and self._film.points:
            self.branch_asked.emit(self._image, self._step)

    def _on_star_clicked(self) -> None:
        self._show_star()  # it changes when the favourites do
        self.star_toggled.emit(self._image)

    def _next_layout(self) -> None:
        self._split.next_layout()
        self._keep_focus()

    def _keep_focus(self) -> None:
        """What had it may be hidden now."""
        if self.focusWidget() is None:
            self.scrubber.setFocus()

    def _on_refresh_timeout(self) -> None:
        if self._is_stale:
            self.film_grew()

    def _restyle(self) -> None:
        self._size_icons()
        self._show_star()
        self._split.divide()

    def _size_icons(self) -> None:
        side = min(theme.scaled(18), _MOST_ICON)
        for widget in self.findChildren(QToolButton):
            widget.setIconSize(QSize(side, side))

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._split.divide()

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._split.divide()
        if self._is_stale:
            self._take_in()

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self.playback.pause()
        self._refresh_timer.stop()

    # --------------------------------------------------------------------------------------------- building

    def _connect(self) -> None:
        self._actions = {
            Qt.Key.Key_Space: self.playback.toggle,
            Qt.Key.Key_L: lambda: self.playback.set_loops(not self.playback.loops),
            Qt.Key.Key_BracketLeft: lambda: self.playback.change_speed(-1),
            Qt.Key.Key_BracketRight: lambda: self.playback.change_speed(1),
            Qt.Key.Key_D: self._next_focus,
            Qt.Key.Key_G: self._next_layout,
            Qt.Key.Key_S: self.star.click,
            Qt.Key.Key_C: self.compare.click,
            Qt.Key.Key_B: self._ask_branch,
            Qt.Key.Key_U: self._toggle_guidance,
            Qt.Key.Key_A: self.axis.choose_next,
            Qt.Key.Key_H: self._toggle_heads,
        }
        self.playback.moved.connect(self._on_play_moved)
        self.scrubber.sought.connect(self.seek)
        self.grid.picked.connect(self.pick)
        self.grid.opened.connect(self._open)
        self.grid.menu_asked.connect(self.menu_asked)
        self.grid.star_toggled.connect(self.star_toggled)
        self.live.asked.connect(self._on_followed_again)
        self.branch.clicked.connect(self._ask_branch)
        self.star.clicked.connect(self._on_star_clicked)
        self.compare.clicked.connect(lambda: self.compare_asked.emit(self._image))
        self.every.toggled.connect(self._on_every_toggled)
        self.axis.chosen.connect(self.scrubber.set_axis)
        self.layout_button.clicked.connect(self._next_layout)
        theme.theme_changed.connect(self._restyle)
        self.heads.toggled.connect(self._on_heads_toggled)
        self.guidance.toggled.connect(self._on_guidance_toggled)
        self._refresh_timer.timeout.connect(self._on_refresh_timeout)

    def _build(self, extra: QWidget | None) -> None:
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self.every.setChecked(True)
        self.guidance.setCheckable(True)
        for press in (self.guidance, self.branch):
            press.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.branch.setIcon(icon("branch"))
        describe(
            self._memory, "Memory", "What the steps of these images take: up to 256 MB in memory, more on the disk."
        )
        describe(self._readout, "Step", "The step, its time t, and σ: noise over signal.")
        layout = QVBoxLayout(self._lower)
        layout.setContentsMargins(0, 4, 0, 0)
        layout.setSpacing(8)
        above = (self.guidance, self.heads, self.every, self.layout_button, self.star, self.compare)
        about = row(self._caption, *above, space=4)
        about.setStretch(0, 1)
        layout.addLayout(about)
        for pictures in (self.viewer, self.attention):
            self._pictures.addWidget(pictures)
        layout.addWidget(self._pictures, 1)
        readout = row(self._readout, self.live, self.axis)
        readout.setStretch(0, 1)
        layout.addLayout(readout)
        layout.addWidget(self.scrubber)
        bar = FlowLayout()
        extras = (extra,) if extra is not None else ()
        for widget in (self.playback_bar, self.branch, *extras, self._memory):
            bar.addWidget(widget)
        layout.addLayout(bar)
        readouts = (self.live, *self.axis.buttons.values())
        below = (*readouts, self.scrubber, *self.playback_bar.controls, self.branch, *extras)
        text = "Choose a model and classes on the left, then press Generate. Every step out of the noise is shown here."
        self._pages.addWidget(EmptyState(icon("sample", "muted"), "Nothing drawn yet", text))
        self._pages.addWidget(self._split)
        page = QVBoxLayout(self)
        page.setContentsMargins(0, 0, 0, 0)
        page.addWidget(self._pages)
        self._size_icons()
        self._guide_keys((self.grid, *above, *self.attention.controls, *below))

    def _guide_keys(self, controls: Sequence[QWidget]) -> None:
        """Tab goes through these in this order; arrows step in all but the grid and the heads, which have their own."""
        for first, second in pairwise(controls):
            self.setTabOrder(first, second)
        for control in controls:
            if control not in (self.grid, *self.attention.controls):
                control.installEventFilter(self)
