"""Where the class of each file comes from: its folder, a table, or a suffix of its name."""

import csv
import itertools
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import msgspec
import numpy as np
from numpy.typing import NDArray

from dit_studio.engine.file_list import FileList, looks_like_image, natural_key
from dit_studio.engine.image_files import NOT_AN_IMAGE
from dit_studio.engine.left_out import LeftOut, shown
from dit_studio.errors import DataError

_SPLITS = frozenset({"train", "training", "val", "valid", "validation", "dev", "test", "testing"})
_TABLES = ("labels.csv", "metadata.csv", "metadata.jsonl")
_FILE_COLUMNS = ("file", "filename", "file_name", "image", "image_id", "path", "name", "id")
_LABEL_COLUMNS = ("label", "class", "class_name", "category", "kind", "target", "labels")
_SYNSET = re.compile(r"n[0-9]{8}")  # a WordNet id, as ImageNet names its folders
_SYNSET_NAMES = ("loc_synset_mapping.txt", "synset_words.txt", "words.txt", "classes.txt")
_SUFFIX = re.compile(r".*_\(([0-9]{1,2})\)")

_Names = list[str | None]  # the class of each member


@dataclass(frozen=True)
class Classes:
    """Classes in natural order, and the class of each member: -1 where it is left out, 0 where there are none."""

    source: str
    sources: tuple[str, ...]
    names: tuple[str, ...]
    labels: NDArray[np.int64]
    warnings: tuple[str, ...] = ()


def find_classes(files: FileList, choice: str) -> Classes:
    """The classes by the chosen source; "auto" takes the first of folders, labels and suffix that fits.

    Adds to `files.left_out` what has no class. Raises: DataError if the chosen source gives none.
    """
    table_problems = LeftOut()
    conflicts: list[str] = []
    found = {
        "folders": _by_folder(files),
        "labels": _by_table(files, table_problems, conflicts),
        "suffix": _by_suffix(files),
    }
    counts = {source: _count(files, classes) for source, classes in found.items()}
    sources = tuple(source for source, (kinds, _) in counts.items() if kinds >= 2)
    warnings = _split_warnings(files)
    if choice == "auto":
        images = sum(looks_like_image(member.name) for member in files.members)
        choice = next((source for source in sources if _fits(source, *counts[source], images)), "none")
        if choice == "none" and table_problems.count:
            first = table_problems.problems[0]
            warnings += (f"The table of labels is not used: {first.file}: {first.reason}.",)
    if choice == "none":
        return Classes("none", sources, (), np.zeros(len(files.members), np.int64), warnings)
    if choice not in sources and not (choice == "labels" and counts["labels"][0]):
        raise _no_classes(files, choice, sources)
    if choice == "labels":
        files.left_out.extend(table_problems)
        warnings += tuple(conflicts[:1])
    return _numbered(files, choice, sources, found[choice], warnings)


def _count(files: FileList, classes: _Names) -> tuple[int, int]:
    """How many classes hold images, and how many images have one."""
    named = Counter(name for name, member in zip(classes, files.members, strict=True)
                    if name is not None and looks_like_image(member.name))  # fmt: skip
    return len(named), named.total()


def _fits(source: str, kinds: int, labelled: int, total: int) -> bool:
    return labelled >= 2 * kinds if source == "suffix" else 2 * labelled >= total


def _no_classes(files: FileList, choice: str, sources: tuple[str, ...]) -> DataError:
    where = {
        "folders": "fewer than two of its subfolders hold images",
        "labels": f"it has no {', '.join(_TABLES[:-1])} or {_TABLES[-1]} that names its images",
        "suffix": "its file names have no suffix such as _(2)",
    }[choice]
    possible = ", ".join(("auto", *sources, "none"))
    return DataError(
        f'{files.path} cannot be sorted by classes = "{choice}": {where}.',
        remedy=f"Possible here: {possible}.",
    )


def _numbered(
    files: FileList, source: str, sources: tuple[str, ...], classes: _Names, warnings: tuple[str, ...]
) -> Classes:
    names = sorted({name for name in classes if name is not None}, key=natural_key)
    number = {name: index for index, name in enumerate(names)}
    labels = np.array([-1 if name is None else number[name] for name in classes], np.int64)
    why = {
        "folders": "it lies beside the class folders, in none of them",
        "labels": "the table of labels gives it no class",
    }.get(source, "")
    for index in np.flatnonzero(labels < 0):
        name = files.members[index].name
        files.left_out.add(name, why if looks_like_image(name) else NOT_AN_IMAGE)
    return Classes(source, sources, _readable(files, names), labels, warnings)


# ------------------------------------------------------------------------------------------------- folders


def _by_folder(files: FileList) -> _Names:
    """The first folder below what all images share, below train, val and test too."""
    folders = [PurePosixPath(member.name).parts[:-1] for member in files.members]
    depth = _class_depth(files, folders)
    return [parts[depth] if len(parts) > depth else None for parts in folders]


def _class_depth(files: FileList, folders: Sequence[tuple[str, ...]]) -> int:
    images = {parts for parts, member in zip(folders, files.members, strict=True) if looks_like_image(member.name)}
    depth = 0
    while images and len(shared := {parts[depth : depth + 1] for parts in images}) == 1 and shared != {()}:
        depth += 1
    tops = {parts[depth].lower() for parts in images if len(parts) > depth}
    return depth + 1 if tops and tops <= _SPLITS else depth


def _split_warnings(files: FileList) -> tuple[str, ...]:
    parts = {part for member in files.members for part in PurePosixPath(member.name).parts[:-1]}
    found = sorted(part for part in parts if part.lower() in _SPLITS)
    if len(found) < 2:
        return ()
    return (f"All of {', '.join(map(shown, found))} are used; choose one of these folders to keep the others unseen.",)


def _readable(files: FileList, names: Sequence[str]) -> tuple[str, ...]:
    """The names to show: words instead of WordNet ids where a file tells them."""
    if not all(_SYNSET.fullmatch(name) for name in names):
        return tuple(map(shown, names))
    words = _synset_words(files)
    count = Counter(words.get(name, name) for name in names)
    readable = [words.get(name, name) for name in names]
    return tuple(word if count[word] == 1 else f"{word} ({name})" for word, name in zip(readable, names, strict=True))


def _synset_words(files: FileList) -> dict[str, str]:
    """WordNet ids and the first of their synonyms, from lines such as "n01440764 tench, Tinca tinca"."""
    words: dict[str, str] = {}
    for name, text in files.texts.items():
        if PurePosixPath(name).name.lower() in _SYNSET_NAMES:
            for line in text.splitlines():
                synset, _, meaning = line.strip().replace("\t", " ").partition(" ")
                if _SYNSET.fullmatch(synset.rstrip(",:")) and meaning.strip():
                    words[synset.rstrip(",:")] = meaning.split(",")[0].strip()
    return words


# ------------------------------------------------------------------------------------------------- suffixes


def _by_suffix(files: FileList) -> _Names:
    """00000012.jpg is of kind 1, 00000012_(2).jpg of kind 2."""
    matches = (_SUFFIX.fullmatch(PurePosixPath(member.name).stem) for member in files.members)
    return [str(int(match[1])) if match else "1" for match in matches]


# ------------------------------------------------------------------------------------------------- tables


def _by_table(files: FileList, problems: LeftOut, conflicts: list[str]) -> _Names:
    """The classes of labels.csv (file,label) or metadata.jsonl (file_name and label, as Hugging Face has it)."""
    classes: _Names = [None] * len(files.members)
    tables = [name for name in files.texts if PurePosixPath(name).name.lower() in _TABLES]
    if not tables:
        return classes
    numbers = _numbers_by_name(files)
    for table in sorted(tables, key=natural_key):
        read = _jsonl_rows if table.lower().endswith(".jsonl") else _csv_rows
        for line, file, label in read(files.texts[table]):
            where = f"{shown(table)}, line {line}"
            number = numbers.get(_plain(str(PurePosixPath(table).parent / file)))
            if not file:
                problems.add(table, f"{where} names no file")
            elif number is None:
                problems.add(file, f"{where} names it, but it is not there")
            elif label and classes[number] not in (None, label):
                conflicts.append(f'{where} calls {file} "{label}", after "{classes[number]}"; the first counts.')
            else:
                classes[number] = label or classes[number]
    return classes


def _numbers_by_name(files: FileList) -> dict[str, int]:
    """Members by their name, and by their name without its suffix."""
    numbers: dict[str, int] = {}
    for index, member in enumerate(files.members):
        numbers.setdefault(_plain(str(PurePosixPath(member.name).with_suffix(""))), index)
    numbers.update((_plain(member.name), index) for index, member in enumerate(files.members))
    return numbers


def _plain(name: str) -> str:
    """One spelling of a name: parts joined by "/", accents composed as macOS does not."""
    return unicodedata.normalize("NFC", str(PurePosixPath(name.strip().replace("\\", "/"))))


def _csv_rows(text: str) -> Iterator[tuple[int, str, str]]:
    """Line number, file and label."""
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    rows = csv.reader(text.splitlines(), delimiter=delimiter)
    header = [cell.strip().lower() for cell in next(csv.reader([first], delimiter=delimiter), [])]
    file, label = _column(header, _FILE_COLUMNS), _column(header, _LABEL_COLUMNS)
    if file is not None and label is not None:
        rows = itertools.islice(rows, 1, None)  # type: ignore[assignment]
    first_line = 1 if file is None or label is None else 2
    for line, row in enumerate(rows, first_line):
        if row:
            cells = [*row, "", ""]
            if file is None or label is None:
                yield line, cells[0].strip(), cells[1].strip()
            else:
                cells += [""] * len(header)
                yield line, cells[file].strip(), cells[label].strip()


def _column(header: Sequence[str], names: Sequence[str]) -> int | None:
    return next((header.index(name) for name in names if name in header), None)


def _jsonl_rows(text: str) -> Iterator[tuple[int, str, str]]:
    for line, content in enumerate(text.splitlines(), 1):
        if not content.strip():
            continue
        try:
            row = msgspec.json.decode(content, type=dict[str, object])
        except msgspec.DecodeError:
            row = {}
        file = next((row[name] for name in _FILE_COLUMNS if isinstance(row.get(name), str)), "")
        label = next((row[name] for name in _LABEL_COLUMNS if isinstance(row.get(name), str | int)), "")
        yield line, str(file), str(label)
