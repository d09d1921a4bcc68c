"""Settings called as the forms call them, where a sentence speaks of them as a recipe does."""

import re

from dit_studio.config import SECTIONS, fields_of

_SECTIONS = (*SECTIONS, "request", "evaluation")
_TITLES = {field.key: field.title for section in _SECTIONS for field in fields_of(section)}
_KEY = rf"(?:{'|'.join(_SECTIONS)})\.\w+"


def with_titles(text: str) -> str:
    """ "train.steps = 0" becomes "Steps = 0"; a key in brackets goes; what is meant for a command line stays."""
    text = re.sub(rf" \(({_KEY})\)", lambda match: "" if match[1] in _TITLES else match[0], text)
    return re.sub(rf"(?<![\w./\\-])(?<!--set ){_KEY}(?!\.\w)", lambda match: _TITLES.get(match[0], match[0]), text)
