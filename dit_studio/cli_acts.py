"""Commands that have several acts, as `queue add` and `queue hold`."""

import argparse
from collections.abc import Callable

Act = Callable[[argparse.Namespace], int]
AddAct = Callable[[str, Act, str], argparse.ArgumentParser]


def acts_of(parser: argparse.ArgumentParser, names: str) -> AddAct:
    """What adds an act by its name, what runs it, and its help; `names`: all of them, as they are listed."""
    acts = parser.add_subparsers(title="what to do", metavar=names)

    def add(name: str, run: Act, text: str) -> argparse.ArgumentParser:
        added = acts.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        added.set_defaults(act=run)
        hint = "print one JSON object on stdout as the last line"
        added.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help=hint)
        return added

    return add
