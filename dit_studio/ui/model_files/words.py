"""What the page says of a model file: its group, what it is for, its state, its size, how far a download is."""

from urllib.parse import urlsplit

from dit_studio.events import ModelFileInfo, Progress
from dit_studio.ui.train.amounts import count, duration, memory

GROUPS = {  # by role, as they stand on the page
    "model": (
        "Pretrained models",
        "They draw the 1,000 classes of ImageNet, and can be sampled, fine-tuned and exported like your own. Their "
        "licence is non-commercial.",
    ),
    "vae": (
        "VAEs",
        "They turn images into latents of an eighth of their size with 4 channels, in which a model trains, and back.",
    ),
    "extractor": (
        "Feature extractors",
        "They compute the features that metrics compare. The extractor random needs no file.",
    ),
}
_MODELS = {
    True: "A folder as diffusers has it: transformer, VAE and scheduler.",
    False: "The same weights in one file, for the original program's numbers. A VAE of the list decodes what it draws.",
}
_VAES = {
    "stabilityai/sd-vae-ft-ema": "DiT-XL/2's published FID of 2.27 was taken with it. Its encoder is that of ft-MSE, "
    "so latents of one suit the other.",
    "stabilityai/sd-vae-ft-mse": "Its encoder is that of ft-EMA; its decoder makes smoother images, and gives "
    "DiT-XL/2 an FID of 2.30.",
}
_USED_FOR = {
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
_SHORT_HASH = 12  # digits
USABLE = ("verified", "unverified")


def used_for(info: ModelFileInfo) -> str:
    """What the file or model is good for."""
    if info.role == "model":
        return _MODELS[info.is_on_hub]
    return _VAES.get(info.name, "") if info.role == "vae" else _USED_FOR.get(info.extractor, "")


def state_of(info: ModelFileInfo) -> tuple[str, str]:
    """The state in words, and the role of its colour in the palette."""
    if info.is_chosen and info.condition in USABLE:
        return "Chosen by you", "info"
    if info.condition == "missing" and info.arrived_bytes:
        return "Arrived in part", "warning"
    return _STATES.get(info.condition, (info.condition, "muted"))


def hash_of(info: ModelFileInfo) -> str:
    """The first digits of the SHA-256, or who gives it."""
    if info.sha256:
        return f"{info.sha256[:_SHORT_HASH]}…"
    if not info.is_on_hub:
        return "not published; the checksums inside are checked"
    return "not known of this copy" if info.condition == "unverified" else "given by the hub, and checked"


def megabytes(size_bytes: float) -> str:
    """To a tenth: "95.6 MB"."""
    return f"{size_bytes / 1e6:,.1f} MB"


def size_of(info: ModelFileInfo) -> str:
    if not info.size_bytes:
        return "not known before its download"
    if not info.sha256:
        return f"about {memory(info.size_bytes)}"
    return f"{megabytes(info.size_bytes)} ({count(info.size_bytes)} bytes)"


def what_a_download_does(info: ModelFileInfo) -> str:
    """What is fetched, how much of it, from where and to where."""
    host = urlsplit(info.url).hostname
    if info.arrived_bytes:
        left = max(info.size_bytes - info.arrived_bytes, 0)
        return (
            f"{megabytes(info.arrived_bytes)} are here already. Resume fetches the rest, about {memory(left)}, from "
            f"{host} into {info.folder}."
        )
    size = megabytes(info.size_bytes) if info.sha256 else f"about {memory(info.size_bytes)}"
    return f"Download fetches {size} from {host} into {info.folder}."


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
