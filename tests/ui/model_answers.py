"""What a worker answers when a model of another program is opened, and such files."""

from pathlib import Path
from typing import Any

import msgspec
from scripted import Script, Step

from dit_studio.model_events import ModelOpened, Question
from dit_studio.opened_models import remember

OBJECTIVE = Question(
    name="objective",
    text="What does the model predict?",
    likely="epsilon",
    choices=("epsilon", "x0", "v", "flow", "sit"),
    why="SiT and others have the same tensors, and mean something else: epsilon: the noise, as DiT; x0: the image.",
    is_open=True,
)
HEADS = Question(
    name="num_heads",
    text="How many attention heads does it have?",
    likely="16",
    why="The shapes do not tell; heads of a width of 1152 mostly are 72 wide.",
)
SCALE = Question(
    name="latent_scale",
    text="By what are its latents multiplied?",
    why="The VAE's scaling_factor; its shift is taken to be 0.",
    is_open=True,
)
VAE = Question(
    name="vae",
    text="In the latents of which VAE does it live (16 channels)?",
    why="The published models live in Stable Diffusion's; a folder, a name on the hub, or pixels.",
    is_open=True,
)
FACTS = (
    ("File", "published: 340 tensors, 675,129,632 numbers"), ("Width", "1,152"), ("Depth", "28 blocks"),
    ("Heads", "16"), ("Patch", "2×2"), ("Input", "4 × 32 × 32 latents"), ("Classes", "1,000, and “no class”"),
    ("Variance", "learned"), ("Position", "sine-cosine"), ("Numbers as", "facebook computes"),
    ("Guidance", "the published code guides the first three channels, diffusers all"),
)  # fmt: skip


def opened(path: str, *questions: Question, warnings: tuple[str, ...] = (), is_known: bool = False) -> ModelOpened:
    return ModelOpened(
        path=path,
        format="published",
        title="DiT-XL/2, 256 pixels",
        facts=FACTS,
        questions=questions,
        warnings=warnings,
        description="{}" if is_known else "",
    )


def asking(*questions: Question) -> Any:
    """As the engine does: with every answer given, what the model means is remembered."""

    def answer(path: str, answers: dict[str, str]) -> Script:
        is_known = all(question.name in answers for question in questions)
        if is_known:
            remember(Path(path), msgspec.json.encode(meaning(**answers)))
        said: list[Step] = [opened(path, *questions, is_known=is_known)]
        return said

    return answer


def meaning(objective: str = "epsilon", num_heads: str = "16", **_: str) -> dict[str, object]:
    """A description, as far as answers are read from it."""
    return {
        "num_heads": int(num_heads),
        "class_dropout_prob": 0.1,
        "time": "sit" if objective == "sit" else "studio",
        "latents": {"vae": "stabilityai/sd-vae-ft-ema", "scale": 0.18215, "factor": 8},
        "diffusion": {"objective": "flow" if objective == "sit" else objective},
    }


def weights_file(folder: Path, name: str = "DiT-XL-2-256x256.pt") -> Path:
    """A file that no scripted worker reads."""
    (folder / name).write_bytes(b"weights")
    return folder / name
