"""What the page says of a model file: what it is for, its state, its size, how far a download is."""

from urllib.parse import urlsplit

from dit_studio.events import ModelFileInfo, Progress
from dit_studio.ui.train.amounts import count, duration, memory

USED_FOR = {
    "inception": "Inception's features: FID, sFID, FID∞, Inception Score, KID, precision and recall, as published. "
    "One of the two files is enough.",
    "clip-b32": "MMD, Fréchet distance, precision and recall, and copying by CLIP's embeddings.",
    "clip-l14-336": "CMMD as published; MMD, Fréchet distance and copying by the larger CLIP's embeddings.",
    "siglip": "MMD, Fréchet distance, precision and recall, and copying by SigLIP's embeddings.",
    "align": "MMD, Fréchet distance, precision and recall, and copying by ALIGN's embeddings.",
    "dinov2": "Fréchet distance, precision and recall, and copying by DINOv2's embeddings, which see objects and "
    "their parts.",
}
_STATES = {  # in words, and the role of their colour
    "missing": ("Not here", "muted"),
    "truncated": ("Incomplete", "warning"),
    "wrong hash": ("Wrong hash", "error"),
    "unverified": ("Here, not verified", "info"),
    "verified": ("Verified", "good"),
}
USABLE = ("verified", "unverified")


def state_of(info: ModelFileInfo) -> tuple[str, str]:
    """The state in words, and the role of its colour in the palette."""
    if info.is_chosen:
        return "Chosen by you", "info"
    if info.condition == "missing" and info.arrived_bytes:
        return "Arrived in part", "warning"
    return _STATES.get(info.condition, (info.condition, "muted"))


def megabytes(size_bytes: float) -> str:
    """To a tenth: "95.6 MB"."""
    return f"{size_bytes / 1e6:,.1f} MB"


def size_of(info: ModelFileInfo) -> str:
    if not info.size_bytes:
        return "not known before its download"
    if info.is_on_hub:
        return f"about {memory(info.size_bytes)}"
    return f"{megabytes(info.size_bytes)} ({count(info.size_bytes)} bytes)"


def what_a_download_does(info: ModelFileInfo, folder: str) -> str:
    """What is fetched, how much of it, from where and to where."""
    size = memory(info.size_bytes) if info.is_on_hub else megabytes(info.size_bytes)
    about = "about " if info.is_on_hub else ""
    arrived = f"; {megabytes(info.arrived_bytes)} are here already" if info.arrived_bytes else ""
    return f"Download fetches {about}{size} from {urlsplit(info.url).hostname} into {folder}{arrived}."


def progress_text(progress: Progress) -> str:
    """ "12.3 of 95.6 MB · 2.1 MB/s · 40 s left"."""
    if progress.unit != "bytes":
        return progress.stage
    words = [
        f"{progress.done / 1e6:,.1f} of {megabytes(progress.total)}" if progress.total else megabytes(progress.done)
    ]
    if progress.rate > 0:
        words.append(f"{megabytes(progress.rate)}/s")
        if progress.total:
            words.append(f"{duration((progress.total - progress.done) / progress.rate)} left")
    return " · ".join(words)
