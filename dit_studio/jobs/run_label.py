"""What people call a run: `label.json` in its folder, with a title, tags, a note, and whether it is archived.

The folder itself is never moved, so that a run can be renamed while it is at work.
"""

import re
from collections.abc import Iterable
from typing import Any

import msgspec

from dit_studio.errors import RunError
from dit_studio.files import write_atomically
from dit_studio.jobs.run_folder import RunFolder

LABEL_FILE = "label.json"
_MOST_IN_A_TITLE, _MOST_IN_A_TAG, _MOST_IN_A_NOTE = 120, 32, 4000  # letters
_MOST_TAGS = 32


class Label(msgspec.Struct, frozen=True, kw_only=True):
    """The contents of the label file. An empty title stands for the folder's name."""

    title: str = ""
    tags: tuple[str, ...] = ()
    is_archived: bool = False
    note: str = ""


def read_label(folder: RunFolder) -> Label:
    """What was written last; a file that is missing or damaged counts as an empty label."""
    try:
        return msgspec.json.decode((folder.path / LABEL_FILE).read_bytes(), type=Label)
    except (OSError, ValueError):  # msgspec's errors are ValueErrors too
        return Label()


def change_label(folder: RunFolder, **changes: Any) -> Label:
    """Change title, tags, note or is_archived, and leave the rest as it is.

    Raises: RunError if a text is too long, or the folder is gone or cannot be written.
    """
    folder = RunFolder.open(folder.path)
    before = read_label(folder)
    after = checked(msgspec.structs.replace(before, **changes))
    if after != before:
        write_atomically(folder.path / LABEL_FILE, msgspec.json.format(msgspec.json.encode(after)))
    return after


def checked(label: Label) -> Label:
    """The same label in the form in which it is kept. Raises: RunError."""
    title, note = " ".join(label.title.split()), label.note.strip()
    for text, most, what in ((title, _MOST_IN_A_TITLE, "name"), (note, _MOST_IN_A_NOTE, "note")):
        if len(text) > most:
            message = f"The {what} has {len(text):,} letters; at most {most:,} are possible."
            raise RunError(message, remedy="Shorten it.")
        _refuse_control_characters(text.replace("\n", " ").replace("\t", " "), what)
    return msgspec.structs.replace(label, title=title, note=note, tags=tags_in(label.tags))


def shortened(label: Label) -> Label:
    """A label from elsewhere as it is possible here: texts are cut, and what cannot be printed or is too much goes."""
    title = " ".join(_printable(" ".join(label.title.split()))[:_MOST_IN_A_TITLE].split())
    note = _printable(label.note.strip(), besides="\n\t")[:_MOST_IN_A_NOTE].strip()
    words = (_printable(word).lstrip("#") for word in re.split(r"[,\s]+", " ".join(label.tags)))
    tags = list(dict.fromkeys(word for word in words if 0 < len(word) <= _MOST_IN_A_TAG))[:_MOST_TAGS]
    return msgspec.structs.replace(label, title=title, note=note, tags=tags_in(tags))


def tags_in(words: Iterable[str]) -> tuple[str, ...]:
    """Words as tags, each once, in their order; commas and spaces part them. Raises: RunError."""
    found: dict[str, str] = {}
    for word in re.split(r"[,\s]+", " ".join(words)):
        tag = word.lstrip("#")
        if len(tag) > _MOST_IN_A_TAG:
            message = f"The tag {tag[:_MOST_IN_A_TAG]}… has {len(tag)} letters; at most {_MOST_IN_A_TAG} are possible."
            raise RunError(message, remedy="Shorten it.")
        _refuse_control_characters(tag, "tag")
        if tag:
            found.setdefault(tag.casefold(), tag)
    if len(found) > _MOST_TAGS:
        raise RunError(f"{len(found)} tags are too many; a run takes {_MOST_TAGS}.", remedy="Leave some out.")
    return tuple(found.values())


def with_tags(label: Label, added: Iterable[str], *, without: Iterable[str] = ()) -> tuple[str, ...]:
    """The label's tags after some came and others went. Raises: RunError."""
    gone = {tag.casefold() for tag in tags_in(without)}
    return tags_in([*(tag for tag in label.tags if tag.casefold() not in gone), *added])


def title_of(folder: RunFolder) -> str:
    """What the run is called."""
    return titled(folder, read_label(folder))


def titled(folder: RunFolder, label: Label) -> str:
    """The label's title; without one the folder's name as it was typed, without the time before it."""
    return label.title or re.sub(r"^\d{8}-\d{6}-", "", folder.name)


def _printable(text: str, *, besides: str = "") -> str:
    return "".join(letter for letter in text if letter.isprintable() or letter in besides)


def _refuse_control_characters(text: str, what: str) -> None:
    if not text.isprintable():
        raise RunError(f"The {what} {text!r} holds a letter that cannot be printed.", remedy="Leave it out.")
