"""Which system libraries Qt misses on Linux, and which packages hold them."""

import os
import re
import shutil
import subprocess
from pathlib import Path

MANAGERS = {
    "apt-get": "apt-get install -y --no-install-recommends",
    "dnf": "dnf install -y",
    "pacman": "pacman -S --needed --noconfirm",
    "zypper": "zypper install -y",
}

_TABLE = """
library                  apt-get              dnf                  pacman               zypper
libEGL.so.1              libegl1              libglvnd-egl         libglvnd             libglvnd
libGL.so.1               libgl1               libglvnd-glx         libglvnd             libglvnd
libGLX.so.0              libglx0              libglvnd-glx         libglvnd             libglvnd
libOpenGL.so.0           libopengl0           libglvnd-opengl      libglvnd             libglvnd
libX11.so.6              libx11-6             libX11               libx11               libX11-6
libX11-xcb.so.1          libx11-xcb1          libX11-xcb           libx11               libX11-xcb1
libxcb.so.1              libxcb1              libxcb               libxcb               libxcb1
libxcb-cursor.so.0       libxcb-cursor0       xcb-util-cursor      xcb-util-cursor      libxcb-cursor0
libxcb-glx.so.0          libxcb-glx0          libxcb               libxcb               libxcb-glx0
libxcb-icccm.so.4        libxcb-icccm4        xcb-util-wm          xcb-util-wm          libxcb-icccm4
libxcb-image.so.0        libxcb-image0        xcb-util-image       xcb-util-image       libxcb-image0
libxcb-keysyms.so.1      libxcb-keysyms1      xcb-util-keysyms     xcb-util-keysyms     libxcb-keysyms1
libxcb-randr.so.0        libxcb-randr0        libxcb               libxcb               libxcb-randr0
libxcb-render.so.0       libxcb-render0       libxcb               libxcb               libxcb-render0
libxcb-render-util.so.0  libxcb-render-util0  xcb-util-renderutil  xcb-util-renderutil  libxcb-render-util0
libxcb-shape.so.0        libxcb-shape0        libxcb               libxcb               libxcb-shape0
libxcb-shm.so.0          libxcb-shm0          libxcb               libxcb               libxcb-shm0
libxcb-sync.so.1         libxcb-sync1         libxcb               libxcb               libxcb-sync1
libxcb-util.so.1         libxcb-util1         xcb-util             xcb-util             libxcb-util1
libxcb-xfixes.so.0       libxcb-xfixes0       libxcb               libxcb               libxcb-xfixes0
libxcb-xinerama.so.0     libxcb-xinerama0     libxcb               libxcb               libxcb-xinerama0
libxcb-xinput.so.0       libxcb-xinput0       libxcb               libxcb               libxcb-xinput0
libxcb-xkb.so.1          libxcb-xkb1          libxcb               libxcb               libxcb-xkb1
libxkbcommon.so.0        libxkbcommon0        libxkbcommon         libxkbcommon         libxkbcommon0
libxkbcommon-x11.so.0    libxkbcommon-x11-0   libxkbcommon-x11     libxkbcommon-x11     libxkbcommon-x11-0
libwayland-client.so.0   libwayland-client0   libwayland-client    wayland              libwayland-client0
libwayland-cursor.so.0   libwayland-cursor0   libwayland-cursor    wayland              libwayland-cursor0
libwayland-egl.so.1      libwayland-egl1      libwayland-egl       wayland              libwayland-egl1
libdbus-1.so.3           libdbus-1-3          dbus-libs            dbus                 libdbus-1-3
libfontconfig.so.1       libfontconfig1       fontconfig           fontconfig           fontconfig
libfreetype.so.6         libfreetype6         freetype             freetype2            libfreetype6
libglib-2.0.so.0         libglib2.0-0         glib2                glib2                libglib-2_0-0
libgthread-2.0.so.0      libglib2.0-0         glib2                glib2                libgthread-2_0-0
libgssapi_krb5.so.2      libgssapi-krb5-2     krb5-libs            krb5                 krb5
libzstd.so.1             libzstd1             libzstd              zstd                 libzstd1
libz.so.1                zlib1g               zlib                 zlib                 libz1
libstdc++.so.6           libstdc++6           libstdc++            gcc-libs             libstdc++6
libatomic.so.1           libatomic1           libatomic            gcc-libs             libatomic1
font                     fonts-dejavu-core    dejavu-sans-fonts    ttf-dejavu           dejavu-fonts
"""
_PACKAGES = {line.split()[0]: line.split()[1:] for line in _TABLE.splitlines()[2:]}

# What the window loads, inside PySide6's Qt folder; other plug-ins may stay unusable.
_QT_FILES = (
    "lib/libQt6Core.so.6",
    "lib/libQt6Gui.so.6",
    "lib/libQt6Widgets.so.6",
    "lib/libQt6Network.so.6",
    "lib/libQt6OpenGL.so.6",
    "lib/libQt6Svg.so.6",
    "plugins/platforms/libqoffscreen.so",
    "plugins/platforms/libqxcb.so",
    "plugins/platforms/libqwayland.so",
    "plugins/iconengines/libqsvgicon.so",
    "plugins/imageformats/libqjpeg.so",
)
_FONT_FOLDERS = ("/usr/share/fonts", "/usr/local/share/fonts", "~/.fonts", "~/.local/share/fonts")
_FONT_FILES = {".ttf", ".otf", ".ttc", ".pfb"}


def what_qt_misses(qt: Path) -> list[str]:
    """The libraries, by their sonames, that Qt's files in `qt` need and this system lacks; also "font"."""
    if shutil.which("ldd") is None:
        return []
    missing: set[str] = set()
    for file in _QT_FILES:
        if (qt / file).exists():
            answer = subprocess.run(["ldd", str(qt / file)], capture_output=True, text=True, check=False)
            missing |= missing_libraries(answer.stdout)
    return sorted(missing) + ([] if _has_font() else ["font"])


def missing_libraries(ldd_output: str) -> set[str]:
    """The sonames that ldd did not find, Qt's own left out."""
    found_missing = set(re.findall(r"^\s*(\S+) => not found", ldd_output, re.MULTILINE))
    return {name for name in found_missing if not name.startswith("libQt6")}


def packages_of(missing: list[str], manager: str) -> tuple[list[str], list[str]]:
    """The packages of that manager that hold what is missing, and what no package is known for."""
    column = list(MANAGERS).index(manager)
    packages = sorted({_PACKAGES[name][column] for name in missing if name in _PACKAGES})
    return packages, [name for name in missing if name not in _PACKAGES]


def package_manager() -> str | None:
    """The package manager of this system, if it is one of those we know."""
    return next((manager for manager in MANAGERS if shutil.which(manager)), None)


def install_command(packages: list[str], manager: str) -> str:
    """The one command that a user has to run."""
    return f"sudo {MANAGERS[manager]} {' '.join(packages)}"


def may_install(manager: str) -> bool:
    """Only root, and only by apt-get: elsewhere the user decides."""
    return manager == "apt-get" and os.geteuid() == 0


def install_by_apt(packages: list[str]) -> bool:
    """Install Debian packages; the package lists are fetched only if it does not work without."""
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    patience = ["-o", "DPkg::Lock::Timeout=120"]
    install = ["apt-get", *patience, "install", "-y", "--no-install-recommends", *packages]
    for command in (install, ["apt-get", *patience, "update"], install):
        done = subprocess.run(command, env=quiet, capture_output=True, check=False).returncode == 0
        if done and command is install:
            return True
    return False


def _has_font() -> bool:
    files = (file for folder in _FONT_FOLDERS for file in Path(folder).expanduser().rglob("*"))
    return any(file.suffix.lower() in _FONT_FILES for file in files)
