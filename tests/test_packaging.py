"""The bootstrap's decisions, without a network, pip or root."""

import ast
import importlib
import itertools
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

PACKAGING = Path(__file__).parent.parent / "packaging"

LDD_OUTPUT = """\
\tlinux-vdso.so.1 (0x00007ffc0e7f1000)
\tlibQt6Gui.so.6 => /venv with spaces/PySide6/Qt/lib/libQt6Gui.so.6 (0x00007f3c)
\tlibQt6WebEngineCore.so.6 => not found
\tlibxcb-cursor.so.0 => not found
\tlibEGL.so.1 => not found
\tlibEGL.so.1 => not found
\tlibxkbcommon.so.0 => /lib/x86_64-linux-gnu/libxkbcommon.so.0 (0x00007f3c)
\tlibsomething-new.so.7 => not found
\t/lib64/ld-linux-x86-64.so.2 (0x00007f3c)
"""


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Import a module of the packaging folder as the bootstrap does."""
    monkeypatch.syspath_prepend(PACKAGING)

    def load_module(name: str) -> ModuleType:
        monkeypatch.delitem(sys.modules, name, raising=False)
        return importlib.import_module(name)

    return load_module


@pytest.fixture
def libraries(load: Any) -> Any:
    return load("linux_libraries")


@pytest.fixture
def set_up(load: Any, libraries: Any) -> Any:
    assert libraries
    return load("set_up")


# ------------------------------------------------------------------------------------------------- old Pythons


@pytest.mark.parametrize("version", [(3, 10, 14), (3, 8, 0), (2, 7, 18)])
def test_an_old_python_gets_one_sentence(load: Any, version: tuple[int, ...]) -> None:
    sentence = load("studio").refusal(version)
    assert "needs Python 3.11 or newer" in sentence
    assert f"this is Python {version[0]}.{version[1]}:" in sentence
    assert "\n" not in sentence


@pytest.mark.parametrize("version", [(3, 11, 0), (3, 13, 1), (4, 0, 0)])
def test_a_new_python_is_taken(load: Any, version: tuple[int, ...]) -> None:
    assert load("studio").refusal(version) is None


def test_an_old_python_can_read_the_first_file() -> None:
    ast.parse((PACKAGING / "studio.py").read_text("utf-8"), feature_version=(3, 4))


def test_the_bootstrap_needs_the_standard_library_alone() -> None:
    own = {path.stem for path in PACKAGING.glob("*.py")}
    for path in PACKAGING.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert {name.split(".")[0] for name in names} <= set(sys.stdlib_module_names) | own


def test_help_names_the_commands() -> None:
    command = [sys.executable, str(PACKAGING / "studio.py"), "--help"]
    answer = subprocess.run(command, capture_output=True, text=True, check=True, encoding="utf-8")
    assert all(word in answer.stdout for word in ("setup", "test", "demo", "DIT_STUDIO_VENV", "DIT_STUDIO_TORCH_INDEX"))


# ------------------------------------------------------------------------------------------------- system libraries


def test_ldd_names_what_is_missing_but_for_parts_of_qt(libraries: Any) -> None:
    assert libraries.missing_libraries(LDD_OUTPUT) == {"libxcb-cursor.so.0", "libEGL.so.1", "libsomething-new.so.7"}
    assert libraries.missing_libraries("\tnot a dynamic executable\n") == set()


@pytest.mark.parametrize(
    ("manager", "packages"),
    [
        ("apt-get", ["fonts-dejavu-core", "libegl1", "libxcb-cursor0"]),
        ("dnf", ["dejavu-sans-fonts", "libglvnd-egl", "xcb-util-cursor"]),
        ("pacman", ["libglvnd", "ttf-dejavu", "xcb-util-cursor"]),
        ("zypper", ["dejavu-fonts", "libglvnd", "libxcb-cursor0"]),
    ],
)
def test_every_manager_has_its_own_names(libraries: Any, manager: str, packages: list[str]) -> None:
    missing = ["libEGL.so.1", "libsomething-new.so.7", "libxcb-cursor.so.0", "font"]
    assert libraries.packages_of(missing, manager) == (packages, ["libsomething-new.so.7"])
    command = libraries.install_command(packages, manager)
    assert command.startswith(f"sudo {manager} ")
    assert command.endswith(" ".join(packages))


def test_every_library_has_a_package_for_every_manager(libraries: Any) -> None:
    for name, packages in libraries._PACKAGES.items():
        assert len(packages) == len(libraries.MANAGERS), name


def test_ldd_is_asked_about_the_files_of_qt(libraries: Any, monkeypatch: Any, tmp_path: Path) -> None:
    plugin = tmp_path / "Qt äöü" / "plugins/platforms/libqxcb.so"
    plugin.parent.mkdir(parents=True)
    plugin.touch()
    asked = []

    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        asked.append(command)
        return subprocess.CompletedProcess(command, 0, LDD_OUTPUT, "")

    monkeypatch.setattr(libraries.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(libraries.subprocess, "run", run)
    monkeypatch.setattr(libraries, "_FONT_FOLDERS", (str(tmp_path / "no fonts"),))
    missing = libraries.what_qt_misses(tmp_path / "Qt äöü")
    assert asked == [["ldd", str(plugin)]]
    assert missing == ["libEGL.so.1", "libsomething-new.so.7", "libxcb-cursor.so.0", "font"]


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        ([0], ["install"]),
        ([100, 0, 0], ["install", "update", "install"]),
        ([100, 0, 100], ["install", "update", "install"]),
    ],
)
def test_package_lists_are_fetched_only_when_needed(
    libraries: Any, monkeypatch: Any, statuses: list[int], expected: list[str]
) -> None:
    asked: list[str] = []
    succeeds = statuses[-1] == 0

    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        asked.append("update" if "update" in command else "install")
        return subprocess.CompletedProcess(command, statuses.pop(0), "", "")

    monkeypatch.setattr(libraries.subprocess, "run", run)
    assert libraries.install_by_apt(["libegl1"]) is succeeds
    assert asked == expected


def test_advice_is_one_command(set_up: Any) -> None:
    advice = set_up.advice_on(["libEGL.so.1", "libodd.so.1", "font"], "dnf")
    assert "lacks libEGL.so.1, libodd.so.1, a font." in advice
    assert "  sudo dnf install -y dejavu-sans-fonts libglvnd-egl\n" in advice
    assert "hold libodd.so.1." in advice
    assert "Find the packages of your system that hold libEGL.so.1" in set_up.advice_on(["libEGL.so.1"], None)


# ------------------------------------------------------------------------------------------------- the installation


@pytest.fixture
def checkout(set_up: Any, monkeypatch: Any, tmp_path: Path) -> Any:
    """A checkout whose pip and virtual environment only take notes. Returns: the notes."""
    root = tmp_path / "check out"
    root.mkdir()
    (root / "pyproject.toml").write_text('[project]\ndependencies = ["numpy", "torch>=2.6,<2.14"]\n')
    notes: list[str] = []

    def make_venv(venv: Path, python: Path) -> None:
        notes.append("venv")
        python.parent.mkdir(parents=True, exist_ok=True)
        python.touch()
        (venv / "pyvenv.cfg").write_text("version = 3.11.7\n")

    monkeypatch.setattr(set_up, "ROOT", root)
    monkeypatch.setattr(set_up, "_make_venv", make_venv)
    monkeypatch.setattr(set_up, "_pip", lambda _python, arguments, **_: notes.append(" ".join(arguments)))
    monkeypatch.setattr(set_up, "_complete_system", lambda _venv: not notes.append("system"))
    for name in ("DIT_STUDIO_VENV", "DIT_STUDIO_TORCH_INDEX"):
        monkeypatch.delenv(name, raising=False)
    return notes


def test_a_second_start_does_nothing(set_up: Any, checkout: list[str]) -> None:
    root = set_up.ROOT
    set_up.set_up(extras=set())
    assert checkout == ["venv", f"--editable {root}", "system"]
    checkout.clear()
    assert set_up.set_up(extras=set()).is_relative_to(root / ".venv")
    assert checkout == []


def test_extras_come_once_and_stay(set_up: Any, checkout: list[str]) -> None:
    root = set_up.ROOT
    set_up.set_up(extras={"test"})
    set_up.set_up(extras=set())
    set_up.set_up(extras={"test"})
    (root / "pyproject.toml").write_text('[project]\ndependencies = ["torch"]\n')
    set_up.set_up(extras=set())
    assert checkout == ["venv", f"--editable {root}[test]", "system"] * 2


def test_what_the_system_lacks_is_looked_for_again(set_up: Any, checkout: list[str], monkeypatch: Any) -> None:
    monkeypatch.setattr(set_up, "_complete_system", lambda _venv: bool(checkout.append("system")))
    set_up.set_up(extras=set())
    set_up.set_up(extras=set())
    assert checkout[2:] == ["system", "system"]


@pytest.mark.parametrize("damage", ["pyproject.toml", ".venv/pyvenv.cfg", ".venv/dit-studio.json", "python"])
def test_a_change_or_damage_installs_again(set_up: Any, checkout: list[str], damage: str) -> None:
    python = set_up.set_up(extras=set())
    checkout.clear()
    if damage == "python":
        python.unlink()
    else:
        (set_up.ROOT / damage).write_text('[project]\ndependencies = ["torch>=3"]\n')
    set_up.set_up(extras=set())
    assert checkout[0] == "venv"


def test_the_stamp_is_whole_or_counts_for_nothing(set_up: Any, tmp_path: Path) -> None:
    stamp = set_up.Stamp(fingerprint="f", extras=["test"], system_complete=True)
    set_up.write_stamp(tmp_path, stamp)
    assert set_up.read_stamp(tmp_path) == stamp
    for text in ("", "[]", '{"fingerprint": "f"}', '{"extras": [], "new": 1}', json.dumps({"extras": []})[:-1]):
        (tmp_path / set_up.STAMP).write_text(text)
        assert set_up.read_stamp(tmp_path) == set_up.Stamp(extras=[])


def test_torch_comes_from_an_index_of_its_own_when_asked(set_up: Any, checkout: list[str], monkeypatch: Any) -> None:
    monkeypatch.setenv("DIT_STUDIO_TORCH_INDEX", "file:///wheels")
    set_up.set_up(extras=set())
    assert checkout[1] == "--index-url file:///wheels torch>=2.6,<2.14"


def test_the_place_of_the_packages_can_be_set(set_up: Any, tmp_path: Path) -> None:
    assert set_up.venv_folder({"DIT_STUDIO_VENV": str(tmp_path / "my venv")}) == tmp_path / "my venv"
    assert set_up.venv_folder({"DIT_STUDIO_VENV": ""}) == set_up.ROOT / ".venv"


def test_a_folder_that_is_no_environment_is_left_alone(set_up: Any, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(set_up.SetupError, match="not a virtual environment"):
        set_up._make_venv(tmp_path, tmp_path / "bin" / "python")
    assert (tmp_path / "thesis.tex").read_text() == "precious"


@pytest.mark.parametrize(
    ("said", "advice"),
    [
        ("OSError: [Errno 28] No space left on device", "disk is full"),
        (
            "ERROR: Could not find a version that satisfies torch\nTemporary failure in name resolution",
            "cannot be reached",
        ),
        ("ERROR: Package 'x' requires a different Python: 3.10.1 not in '>=3.11'", "Python does not fit"),
        ("ERROR: No matching distribution found for torch", "lacks a package"),
        ("OSError: [Errno 13] Permission denied: '/opt'", "DIT_STUDIO_VENV"),
        ("something nobody foresaw", "last lines"),
    ],
)
def test_a_failure_of_pip_has_a_remedy(set_up: Any, said: str, advice: str) -> None:
    assert advice in set_up.remedy(said)


def test_pip_says_its_last_lines_only_when_it_fails(set_up: Any, tmp_path: Path, capsys: Any) -> None:
    pip = tmp_path / "python"
    for status in (0, 1):
        pip.write_text(f"#!/bin/sh\necho Collecting torch\necho ERROR: No space left on device\nexit {status}\n")
        pip.chmod(0o755)
        if status:
            with pytest.raises(set_up.SetupError, match=r"(?s)No space left on device.*disk is full"):
                set_up._pip(pip, ["torch"], what="torch")
        else:
            set_up._pip(pip, ["torch"], what="torch")
    assert "Collecting" not in capsys.readouterr().err


# ------------------------------------------------------------------------------------------------- checks


def test_checks_draw_into_memory_where_there_is_no_display(set_up: Any) -> None:
    one = {"OMP_NUM_THREADS": "1"}
    assert set_up.check_environment({}, system="Linux") == {"QT_QPA_PLATFORM": "offscreen", **one}
    assert set_up.check_environment({"DISPLAY": ":0"}, system="Linux") == {"DISPLAY": ":0", **one}
    assert set_up.check_environment({"QT_QPA_PLATFORM": "vnc"}, system="Linux") == {"QT_QPA_PLATFORM": "vnc", **one}
    assert set_up.check_environment({"OMP_NUM_THREADS": "3"}, system="Darwin") == {"OMP_NUM_THREADS": "3"}


def test_options_go_to_pytest_alone(set_up: Any) -> None:
    commands = list(set_up.checks(Path("python"), ["--long"]).values())
    assert commands[-1] == ["python", "-m", "pytest", "-n", "2", "--dist", "loadfile", "--long"]
    assert "--long" not in itertools.chain(*commands[:-1])


def test_checks_stop_at_the_first_failure(set_up: Any, monkeypatch: Any, capsys: Any) -> None:
    statuses = iter([0, 1])
    monkeypatch.setattr(set_up.subprocess, "call", lambda *_, **__: next(statuses))
    assert set_up.run_checks(Path("python"), pytest_options=[]) == 1
    said = capsys.readouterr().err
    assert "format  passed" in said
    assert "lint    FAILED" in said
    assert "Stopped at lint" in said
