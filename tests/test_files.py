"""Files get onto the disk whole or not at all."""

import errno
import os
from pathlib import Path

import pytest

from dit_studio import files
from dit_studio.errors import DiskFullError, RunError
from dit_studio.files import free_bytes, new_folder_atomically, remove_folder, remove_leftovers, write_atomically


def no_room(_: int) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "ü b.json"
    write_atomically(path, b"one")
    write_atomically(path, b"two")
    assert path.read_bytes() == b"two"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_leaves_the_old_file_and_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "status.json"
    write_atomically(path, b"old")
    monkeypatch.setattr(files.os, "fsync", no_room)
    with pytest.raises(DiskFullError, match=r"no room to write .*status\.json: \d+ MB are free") as raised:
        write_atomically(path, b"new")
    assert raised.value.remedy
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="cannot be written: No such file"):
        write_atomically(tmp_path / "nowhere" / "a", b"")


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "step-1"
    with new_folder_atomically(path) as temporary:
        (temporary / "a").write_text("1")
        assert not path.exists()
    assert (path / "a").read_text() == "1"
    with pytest.raises(ZeroDivisionError), new_folder_atomically(path) as temporary:
        (temporary / "a").write_text(str(1 / 0))
    assert (path / "a").read_text() == "1"
    with new_folder_atomically(path) as temporary:
        (temporary / "b").write_text("3")
    assert [file.name for file in path.iterdir()] == ["b"]
    monkeypatch.setattr(files.os, "fsync", no_room)
    with pytest.raises(DiskFullError), new_folder_atomically(path) as temporary:
        (temporary / "c").write_text("4")
    assert [file.name for file in path.iterdir()] == ["b"]
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_is_out_of_sight_before_its_files_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "step-1"
    path.mkdir()
    (path / "a").write_text("1")
    monkeypatch.setattr(files.shutil, "rmtree", lambda *_, **__: None)  # killed at the worst moment
    remove_folder(path)
    assert not path.exists()
    assert [file.name[0] for file in tmp_path.iterdir()] == ["."]
    (tmp_path / ".step-2.9.tmp").write_text("")
    (tmp_path / ".step-3.replaced").mkdir()
    monkeypatch.undo()
    remove_leftovers(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["step-3"]  # its successor was never whole


def test_free_space_of_a_folder_to_come(tmp_path: Path) -> None:
    assert free_bytes(tmp_path / "a" / "b" / "c") > 0
