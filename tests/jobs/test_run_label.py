"""Titles, tags and notes of runs: kept beside a run that may be at work, and never in the way of it."""

from pathlib import Path

import pytest

from dit_studio.config import parse_recipe
from dit_studio.errors import RunError
from dit_studio.jobs.run_folder import RunFolder
from dit_studio.jobs.run_label import LABEL_FILE, Label, change_label, read_label, tags_in, title_of, with_tags


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder.create(tmp_path / "20261121-101500-digits", parse_recipe({}))


def test_without_a_label_a_run_is_called_as_its_folder_was(folder: RunFolder) -> None:
    assert read_label(folder) == Label()
    assert title_of(folder) == "digits"


def test_a_run_at_work_is_renamed_and_its_folder_stays(folder: RunFolder) -> None:
    with folder.lock():
        change_label(folder, title="  With \n twice the   width ")
        assert title_of(folder) == "With twice the width"
    assert folder.is_run()
    change_label(folder, title="")
    assert title_of(folder) == "digits"


def test_each_change_leaves_the_rest_as_it_is(folder: RunFolder) -> None:
    change_label(folder, tags=("ablation",))
    change_label(folder, note="Rate too high?\nTry 1e-4.")
    change_label(folder, is_archived=True)
    expected = Label(tags=("ablation",), note="Rate too high?\nTry 1e-4.", is_archived=True)
    assert read_label(folder) == expected
    assert read_label(RunFolder(folder.path)) == expected
    assert [path.name for path in folder.path.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize(
    "content", [b"", b'{"title": "half', b'{"title": 3}', b"[]", b"\xff\xfe", b'{"title": "\xff"}']
)
def test_a_damaged_label_counts_as_none_and_can_be_written_anew(folder: RunFolder, content: bytes) -> None:
    (folder.path / LABEL_FILE).write_bytes(content)
    assert read_label(folder) == Label()
    change_label(folder, title="again")
    assert title_of(folder) == "again"


def test_what_a_later_version_adds_is_passed_over(folder: RunFolder) -> None:
    (folder.path / LABEL_FILE).write_text('{"title": "a", "colour": "red"}')
    assert title_of(folder) == "a"


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"title": "a" * 121}, "The name has 121 letters; at most 120 are possible."),
        ({"title": "a\x00b"}, "cannot be printed"),
        ({"note": "a" * 4001}, "The note has 4,001 letters; at most 4,000 are possible."),
        ({"tags": ("a" * 33,)}, "has 33 letters; at most 32 are possible."),
        ({"tags": tuple(f"t{number}" for number in range(33))}, "33 tags are too many; a run takes 32."),
        ({"tags": ("a\x1bb",)}, "cannot be printed"),
    ],
)
def test_what_is_too_long_gets_a_sentence(folder: RunFolder, changes: dict[str, object], sentence: str) -> None:
    change_label(folder, title="before")
    with pytest.raises(RunError) as failed:
        change_label(folder, **changes)
    assert sentence in failed.value.message
    assert read_label(folder) == Label(title="before")


def test_a_run_that_is_gone_gets_no_label(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="is not a run"):
        change_label(RunFolder(tmp_path / "gone"), title="a")
    assert not (tmp_path / "gone").exists()


def test_tags_are_words_each_once() -> None:
    assert tags_in(["ablation, width", "#cfg", "Ablation"]) == ("ablation", "width", "cfg")
    assert tags_in([" , ,"]) == ()
    label = Label(tags=("ablation", "width"))
    assert with_tags(label, ["new", "WIDTH"]) == ("ablation", "width", "new")
    assert with_tags(label, [], without=["Width"]) == ("ablation",)
