"""A notice by the desktop's own program, which is told the text as it is."""

import os
from pathlib import Path

import pytest

from dit_studio.jobs import desktop_notice


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is the whole path, on a desktop."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere")
    return folder


def write_program(folder: Path, name: str, *, status: int = 0) -> Path:
    """A program that writes down what it is told, a word to a line."""
    told = folder / "told"
    program = folder / name
    program.write_text(f"#!/bin/sh\nfor word; do echo \"$word\"; done > '{told}'\nexit {status}\n")
    program.chmod(0o755)
    return told


@pytest.mark.skipif(os.name == "nt", reason="the programs are shell scripts")
@pytest.mark.parametrize(("platform", "name"), [("linux", "notify-send"), ("darwin", "osascript")])
def test_the_program_is_told_title_and_text(
    programs: Path, monkeypatch: pytest.MonkeyPatch, platform: str, name: str
) -> None:
    monkeypatch.setattr("sys.platform", platform)
    told = write_program(programs, name)
    assert desktop_notice.tell("DiT Studio", '-e "quoted" $HOME finished')
    assert told.read_text().splitlines()[-2:] == ["DiT Studio", '-e "quoted" $HOME finished']


@pytest.mark.skipif(os.name == "nt", reason="the programs are shell scripts")
def test_where_nothing_can_all_is_silent(programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    assert not desktop_notice.tell("DiT Studio", "text")
    write_program(programs, "notify-send", status=1)
    assert not desktop_notice.tell("DiT Studio", "text")
    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS")
    told = write_program(programs, "notify-send")
    told.unlink(missing_ok=True)
    assert not desktop_notice.tell("DiT Studio", "text")
    assert not told.exists()
