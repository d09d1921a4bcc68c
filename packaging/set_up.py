"""Make the virtual environment, install the packages, complete the system, and run what was asked for."""

import hashlib
import importlib.util
import json
import os
import platform
import shlex
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import linux_libraries

ROOT = Path(__file__).resolve().parent.parent
STAMP = "dit-studio.json"


class SetupError(Exception):
    """What went wrong, and what to do, in sentences."""


def main(arguments: list[str], *, usage: str) -> int:
    if arguments[:1] in (["-h"], ["--help"]):
        print(usage)
        return 0
    try:
        return _run(arguments)
    except SetupError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted. The same command goes on where this one ended.", file=sys.stderr)
        return 130


def _run(arguments: list[str]) -> int:
    command = arguments[0] if arguments else ""
    python = set_up(extras={"test"} if command == "test" else set())
    if command == "setup":
        say("The set-up is done. Next: python3 packaging/studio.py demo, or without a command for the window.")
        return 0
    if command == "test":
        return run_checks(python, pytest_options=arguments[1:])
    return _become([str(python), "-m", "dit_studio", *arguments])


def _become(command: list[str]) -> int:
    if os.name == "posix":
        os.execv(command[0], command)  # signals and exit status are the command's own from here on
    return subprocess.call(command)


def say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


# ------------------------------------------------------------------------------------------------- setting up


def set_up(*, extras: set[str]) -> Path:
    """Make the virtual environment and install what is missing, there and in the system. Returns: its Python."""
    venv = venv_folder(os.environ)
    python = _python_in(venv)
    done = read_stamp(venv)
    is_current = python.exists() and done.fingerprint == fingerprint(ROOT, venv)
    has_packages = is_current and extras <= set(done.extras)
    if has_packages and done.system_complete:
        return python
    extras = extras | set(done.extras)
    if not has_packages:
        _make_venv(venv, python)
        _install_packages(python, extras)
    is_complete = _complete_system(venv)
    write_stamp(venv, Stamp(fingerprint=fingerprint(ROOT, venv), extras=sorted(extras), system_complete=is_complete))
    return python


def venv_folder(variables: Mapping[str, str]) -> Path:
    return Path(variables.get("DIT_STUDIO_VENV") or ROOT / ".venv").expanduser().absolute()


def _python_in(venv: Path) -> Path:
    return venv / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def fingerprint(root: Path, venv: Path) -> str:
    """What an installation depends on: the project file, the place of the checkout, the Python of the environment."""
    about_python = venv / "pyvenv.cfg"
    parts = [(root / "pyproject.toml").read_bytes(), os.fsencode(root)]
    parts.append(about_python.read_bytes() if about_python.exists() else b"")
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Stamp:
    """What a set-up leaves behind in the virtual environment, so that the next start need not look again."""

    fingerprint: str = ""
    extras: list[str]
    system_complete: bool = False  # nothing that Qt needs of the system is missing


def read_stamp(venv: Path) -> Stamp:
    """The stamp of the last set-up; an empty one if there was none or it is damaged."""
    try:
        return Stamp(**json.loads((venv / STAMP).read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return Stamp(extras=[])


def write_stamp(venv: Path, stamp: Stamp) -> None:
    temporary = venv / (STAMP + ".tmp")
    temporary.write_text(json.dumps(asdict(stamp)), "utf-8")
    temporary.replace(venv / STAMP)


def _make_venv(venv: Path, python: Path) -> None:
    """Make the virtual environment; one that works is kept, a broken one is made anew."""
    if _works(python):
        return
    if venv.exists() and any(venv.iterdir()) and not (venv / "pyvenv.cfg").exists():
        raise SetupError(f"{venv} is not a virtual environment. Set DIT_STUDIO_VENV to a new folder.")
    say(f"Making a virtual environment in {venv} ...")
    _need_ensurepip()
    made = subprocess.run(
        [sys.executable, "-m", "venv", "--clear", str(venv)], capture_output=True, text=True, check=False
    )
    if made.returncode or not _works(python):
        said = (made.stdout + made.stderr).strip()
        raise SetupError(f"The virtual environment could not be made:\n{said}\n{remedy(said)}")


def _works(python: Path) -> bool:
    """Whether there is a Python with pip, as new as we need it."""
    if not python.exists():
        return False
    probe = "import sys, pip; sys.exit(sys.version_info < (3, 11))"
    try:
        return subprocess.run([str(python), "-c", probe], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def _need_ensurepip() -> None:
    """Debian packs the part of Python that makes virtual environments apart."""
    if importlib.util.find_spec("ensurepip"):
        return
    package = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"
    if linux_libraries.package_manager() != "apt-get":
        raise SetupError("This Python lacks the module ensurepip. Install Python's venv package and start again.")
    say(f"Python's own tool for virtual environments is missing; Debian packs it as {package} ...")
    if not (linux_libraries.may_install("apt-get") and linux_libraries.install_by_apt([package])):
        raise SetupError(
            "This Python cannot make virtual environments yet. Run this and start again:\n"
            f"  {linux_libraries.install_command([package], 'apt-get')}"
        )


# ------------------------------------------------------------------------------------------------- packages


def _install_packages(python: Path, extras: set[str]) -> None:
    index = os.environ.get("DIT_STUDIO_TORCH_INDEX", "")
    if index:
        _pip(python, ["--index-url", index, torch_requirement(ROOT)], what=f"torch from {index}")
    elif platform.system() == "Linux" and not has_nvidia():
        say("No NVIDIA GPU here. If pip fetches CUDA packages, stop, set DIT_STUDIO_TORCH_INDEX to an index of CPU")
        say("builds of torch, and start again.")
    what = "DiT Studio and what it needs" + (f", with {', '.join(sorted(extras))}" if extras else "")
    target = f"{ROOT}[{','.join(sorted(extras))}]" if extras else str(ROOT)
    _pip(python, ["--editable", target], what=what)


def torch_requirement(root: Path) -> str:
    """What the project asks of torch."""
    project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]
    return next(str(item) for item in project["dependencies"] if item.startswith("torch"))


def has_nvidia() -> bool:
    return shutil.which("nvidia-smi") is not None or Path("/proc/driver/nvidia").exists()


def _pip(python: Path, arguments: list[str], *, what: str) -> None:
    say(f"Installing {what}: torch is large, so this can take some minutes ...")
    started = time.monotonic()
    command = [str(python), "-m", "pip", "install", "--disable-pip-version-check", "--no-input", *arguments]
    lines: list[str] = []
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, encoding="utf-8", errors="replace"
    ) as process:
        for line in process.stdout or ():
            lines.append(line.rstrip())
            _show_fleetingly(line.strip())
    _show_fleetingly("")
    if process.returncode:
        last, everything = "\n".join(lines[-12:]), "\n".join(lines)
        raise SetupError(f"pip could not install {what}. It said last:\n{last}\n\n{remedy(everything)}")
    say(f"Installed in {time.monotonic() - started:.0f} s.")


def _show_fleetingly(line: str) -> None:
    """On a terminal, the newest line of pip in place of the one before."""
    if sys.stderr.isatty():
        width = shutil.get_terminal_size().columns - 3
        sys.stderr.write(f"\r\x1b[K{'  ' + line[:width] if line else ''}")
        sys.stderr.flush()


def remedy(said: str) -> str:
    """What to do about a failed installation, from what was said."""
    signs = (
        (("No space left", "Disk quota"), "The disk is full: free about 6 GB, and start again."),
        (("Requires-Python", "requires a different Python"), "This Python does not fit: use 3.11, 3.12 or 3.13."),
        (
            ("name resolution", "Max retries", "timed out", "ConnectionError", "NewConnectionError", "unreachable",
             "getaddrinfo", "ProxyError"),
            "The package index cannot be reached: check the network and pip config list, and start again.",
        ),
        (
            ("CERTIFICATE_VERIFY_FAILED", "SSLError"),
            "The package index has a certificate that pip does not trust: set PIP_CERT to your organisation's file.",
        ),
        (
            ("No matching distribution", "Could not find a version"),
            "The package index lacks a package for this system: see pip config list, or use Python 3.11, 3.12 or 3.13.",
        ),
        (("Permission denied",), "The folder cannot be written: set DIT_STUDIO_VENV to a folder of your own."),
    )  # fmt: skip
    lowered = said.lower()
    fitting = (advice for words, advice in signs if any(word.lower() in lowered for word in words))
    return next(fitting, "Read pip's last lines above; the same command starts again where it can.")


# ------------------------------------------------------------------------------------------------- system libraries


def _complete_system(venv: Path) -> bool:
    """On Linux, see to the libraries that Qt needs of the system. Returns: whether nothing is missing."""
    qt = next(venv.glob("lib*/python3*/site-packages/PySide6/Qt"), None)
    if platform.system() != "Linux" or qt is None:
        return True
    missing = linux_libraries.what_qt_misses(qt)
    if not missing:
        return True
    manager = linux_libraries.package_manager()
    if manager and linux_libraries.may_install(manager):
        packages, _ = linux_libraries.packages_of(missing, manager)
        say(f"Installing what the window needs of the system: {', '.join(packages)} ...")
        linux_libraries.install_by_apt(packages)
        missing = linux_libraries.what_qt_misses(qt)
    if missing:
        say(advice_on(missing, manager))
    return not missing


def advice_on(missing: list[str], manager: str | None) -> str:
    """The sentences for somebody who has to install the missing libraries by hand."""
    names = ", ".join("a font" if name == "font" else name for name in missing)
    lines = [f"The window cannot open yet: this system lacks {names}."]
    packages, unknown = linux_libraries.packages_of(missing, manager) if manager else ([], missing)
    if packages and manager:
        lines += ["Run this, then start again:", f"  {linux_libraries.install_command(packages, manager)}"]
    if unknown:
        lines.append(f"Find the packages of your system that hold {', '.join(unknown)}.")
    return "\n".join([*lines, "Everything but the window works without."])


# ------------------------------------------------------------------------------------------------- checks


TWO_AT_ONCE = ("-n", "2", "--dist", "loadfile")  # processes; what a file sets up is set up once


def checks(python: Path, pytest_options: list[str]) -> dict[str, list[str]]:
    """Every check, as commands in their order."""
    return {
        "format": [str(python), "-m", "ruff", "format", "--check", "."],
        "lint": [str(python), "-m", "ruff", "check", "."],
        "types": [str(python), "-m", "mypy"],
        "tests": [str(python), "-m", "pytest", *TWO_AT_ONCE, *pytest_options],
    }


def check_environment(variables: Mapping[str, str], *, system: str) -> dict[str, str]:
    """The environment of the checks: a thread a process, and Qt draws into memory where there is no display."""
    usual = {"OMP_NUM_THREADS": "1", **variables}
    has_display = system != "Linux" or variables.get("DISPLAY") or variables.get("WAYLAND_DISPLAY")
    return usual if has_display else {"QT_QPA_PLATFORM": "offscreen", **usual}


def run_checks(python: Path, *, pytest_options: list[str]) -> int:
    """Run the checks one after the other, as far as they pass."""
    environment = check_environment(os.environ, system=platform.system())
    summary = []
    for name, command in checks(python, pytest_options).items():
        say(f"\n--- {name}: {shlex.join(['python', *command[1:]])}")
        started = time.monotonic()
        status = subprocess.call(command, cwd=ROOT, env=environment)
        summary.append(f"{name:8}{'passed' if status == 0 else 'FAILED'}  {time.monotonic() - started:6.1f} s")
        if status:
            break
    say("\n" + "\n".join(summary))
    say("All checks passed." if status == 0 else f"Stopped at {name}: see what it said above.")
    return 0 if status == 0 else 1
