"""Which names a run's folder may have beside the files that belong to the folder of runs itself."""

import re
import unicodedata

_QUEUES_FILES = re.compile(r"queue\.json|queue\.log(\.\d+)?|queue-damaged-.*\.json")
_MOST_BYTES = 180  # a file's name has at most 255 almost everywhere, and a time or a number may come to it


def is_reserved(name: str) -> bool:
    """It is hidden, reads as an option, or is a file of the queue's, as some system or other compares names."""
    folded = unicodedata.normalize("NFC", name).casefold()
    return folded.startswith((".", "-")) or _QUEUES_FILES.fullmatch(folded) is not None


def shortened(name: str) -> str:
    """The beginning that fits into a folder's name."""
    return name.encode(errors="replace")[:_MOST_BYTES].decode(errors="ignore")
