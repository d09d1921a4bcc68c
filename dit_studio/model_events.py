"""What is said of everyone's models: opened, exported, their VAEs, their attention, and how fast they are."""

import msgspec

from dit_studio.event_base import Event, WithBytes


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What the tensors of a checkpoint do not tell. `likely` is what most such files mean; "": nothing is likely."""

    name: str  # of the answer: "num_heads", "objective", "vae"
    text: str
    likely: str = ""
    choices: tuple[str, ...] = ()  # empty: free text or a number
    why: str = ""  # what makes the answer likely, or why it has to be known
    is_open: bool = False  # the file may mean something else and nothing tells: it is not opened without an answer


class ModelOpened(Event, frozen=True, kw_only=True, tag="model_opened"):
    """What a model's file holds. `description` is empty as long as a question is open."""

    path: str
    format: str  # "studio", "published", "training checkpoint", "diffusers"
    title: str  # "DiT-XL/2, 256 pixels"
    facts: tuple[tuple[str, str], ...] = ()  # read from the tensors, for the sheet: ("Depth", "28 blocks")
    questions: tuple[Question, ...] = ()
    warnings: tuple[str, ...] = ()
    description: str = ""  # a ModelDescription as JSON


class ExportChecked(Event, frozen=True, kw_only=True, tag="export_checked"):
    """Whether a format can express a model: with `problems` it cannot; `notes` say what is lost or changes."""

    format: str  # "facebook", "diffusers" or "studio"
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    size_bytes: int = 0


class VaeDescribed(Event, frozen=True, kw_only=True, tag="vae"):
    """A VAE in whose latents a model can be trained."""

    path: str
    name: str
    factor: int  # pixels on a side that become one latent
    channels: int
    scale: float  # 0: it does not say, and it is fitted when images are encoded
    shift: float
    parameters: int
    digest: str  # of its weights
    size_bytes: int = 0
    warnings: tuple[str, ...] = ()


class Reconstruction(WithBytes, frozen=True, kw_only=True, tag="reconstruction"):
    """Images beside what the VAE makes of them. `data`: (2, images, S, S, 3) uint8, the originals first."""

    size: int  # S
    latent_size: int
    numbers: tuple[int, ...]  # of the images in the data set
    psnr: tuple[float, ...]  # dB, an image
    mean_psnr: float


class AttentionSeen(WithBytes, frozen=True, kw_only=True, tag="attention_seen"):
    """Where the heads of a block look from a patch. `data`: (heads, grid, grid) float32, each summing to 1."""

    block: int
    heads: int
    grid: int  # patches on a side
    patch: int  # the one that looks, rows first
    image: int
    step: int
    t: float
    elsewhere: tuple[float, ...] = ()  # the share of each head that goes to tokens that are no patches, left out


class AttentionTimed(Event, frozen=True, kw_only=True, tag="attention_timed"):
    """An attention implementation on this machine, at one size. Times are medians of paired rounds."""

    name: str  # "plain", "sdpa flash", "grouped 2", "window 7", "flex window 7", "xformers"
    batch: int
    tokens: int
    heads: int
    head_size: int
    seconds: float | None  # forward; None: see `note`
    backward_seconds: float | None = None  # forward and backward
    memory_bytes: int | None = None  # peak above what was there
    difference: float | None = None  # largest, from the plain one of the same meaning
    note: str = ""  # why it does not run here


class FamilyTimed(Event, frozen=True, kw_only=True, tag="family_timed"):
    """A member of the family on this machine."""

    name: str  # "DiT-B/4"
    parameters: int
    gflops: float
    images_per_second: float | None
    memory_bytes: int | None
    note: str = ""
