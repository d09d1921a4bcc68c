"""How the Train page writes amounts: counts, times, memory, rates."""


def count(number: float) -> str:
    """1240 as "1,240", as the engine writes it in the names of models."""
    return f"{number:,.0f}"


def counted(number: int, noun: str, plural: str = "") -> str:
    """ "1 image", "2 images"."""
    return f"{count(number)} {noun if number == 1 else plural or noun + 's'}"


def short(number: float) -> str:
    """33,012,345 as "33.0 M"."""
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= limit:
            return f"{number / limit:.3g} {unit}" if number >= 100 * limit else f"{number / limit:.1f} {unit}"
    return f"{number:g}"


def memory(size_bytes: float) -> str:
    """Bytes as "4.1 GB" or "310 MB" (powers of 1000)."""
    if size_bytes >= 1e9:
        return f"{size_bytes / 1e9:.1f} GB"
    return f"{size_bytes / 1e6:.0f} MB" if size_bytes >= 1e6 else f"{size_bytes / 1e3:.0f} kB"


def duration(seconds: float) -> str:
    """5999 as "1 h 40 min"; at most two units."""
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    minutes = seconds // 60
    if minutes < 10:
        return f"{minutes} min {seconds % 60} s"
    if minutes < 60:
        return f"{minutes} min"
    hours = minutes // 60
    return f"{hours} h {minutes % 60} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"


def rate(per_second: float) -> str:
    """3.14 as "3.1"; slow rates keep two digits."""
    return f"{per_second:.0f}" if per_second >= 100 else f"{per_second:.1f}" if per_second >= 1 else f"{per_second:.2g}"
