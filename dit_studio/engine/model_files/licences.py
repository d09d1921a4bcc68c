"""The licences of published models."""

from typing import NamedTuple


class Licence(NamedTuple):
    """`terms`: in a sentence, what has to be agreed to before a download; empty: nothing has."""

    name: str
    url: str = ""
    terms: str = ""


MIT = Licence("MIT")
CC_BY_NC = Licence(
    "CC BY-NC 4.0 (non-commercial)",
    "https://creativecommons.org/licenses/by-nc/4.0/legalcode",
    "You may share and adapt it if you name its authors, but not for commercial purposes.",
)
NVIDIA = Licence(
    "Nvidia Source Code License (non-commercial)",
    "https://nvlabs.github.io/stylegan2-ada-pytorch/license.html",
    "You may use it for research and evaluation only, not for commercial purposes.",
)
