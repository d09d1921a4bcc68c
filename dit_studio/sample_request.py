"""What can be asked of a model: the settings that fix an image to the last digit, and the record that keeps them.

The engine draws a request, the window and the command line fill one in, and every image carries one inside.
"""

from typing import Annotated, Literal

import msgspec

from dit_studio.fields import Section, setting

Sampler = Literal["ddim", "ddpm", "dpm++", "unipc", "heun", "euler", "flow-euler"]


class SampleOptions(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How images are drawn, whatever their classes."""

    sampler: Annotated[Sampler, setting("The solver that goes from noise to image.")] = "ddim"
    steps: Annotated[int, setting("Denoising steps.", unit="steps", ge=1, le=4000)] = 50
    cfg: Annotated[
        float,
        setting(
            "Guidance scale: 1 is none, 0 ignores the class; more follows it more.", title="CFG scale", ge=0, le=100
        ),
    ] = 1.0
    seed: Annotated[int, setting("Of the first image; image k has seed + k.", ge=0, le=2**53)] = 0
    count: Annotated[int, setting("Images in all; the classes are taken in turn.", unit="images", ge=1, le=10**7)] = 1
    eta: Annotated[
        float,
        setting("Noise that DDIM adds in each step: 0 none, 1 as much as DDPM.", title="η", advanced=True, ge=0, le=1),
    ] = 0.0
    cfg_channels: Annotated[
        Literal["all", "three"],
        setting(
            "Guide every channel, or the first three only, as the published models do.",
            title="Guided channels",
            advanced=True,
        ),
    ] = "all"
    cfg_from: Annotated[
        int,
        setting(
            "Guide from this timestep upwards; below it the class alone.",
            title="Guide from t",
            advanced=True,
            ge=0,
            le=4000,
        ),
    ] = 0
    cfg_to: (
        Annotated[
            int,
            setting(
                "Guide up to this timestep, and above it the class alone; empty: up to the noisiest.",
                title="Guide to t",
                advanced=True,
                ge=0,
                le=4000,
            ),
        ]
        | None
    ) = None
    batch_size: Annotated[
        int,
        setting(
            "Images drawn at once; they are the same in any batch.",
            title="Batch",
            unit="images",
            advanced=True,
            ge=1,
            le=65_536,
        ),
    ] = 64


class SampleRequest(SampleOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to draw. Image k has the k-th class, taken in turn, and seed `seed` + k."""

    classes: tuple[int, ...] = (0,)


class ModelReference(msgspec.Struct, frozen=True, kw_only=True):
    """Which model drew an image."""

    path: str  # of the run, checkpoint or file that was asked for
    name: str = ""  # as a person calls it: "landscapes · step 20,000 · EMA"
    step: int = 0
    weights: str = "ema"
    fingerprint: str = ""  # of the weights' file; 16 hexadecimal digits
    class_names: tuple[str, ...] = ()
    vae: str = ""  # that decoded the latents: a folder, or a name on the hub; empty: it draws pixels


class BranchPoint(msgspec.Struct, frozen=True, kw_only=True):
    """The x_t from which a branch went on: the one that step `step` of image `image` of an entry started from."""

    entry: str  # the name of a folder of the history
    image: int
    step: int  # from 1
    t: float = 0.0


class SampleRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is known of drawn images: `entry.json` of the history, and inside every PNG.

    In a PNG `image` is the number of that image, so that it has the class `classes[image % len(classes)]` and the seed
    `seed + image`.
    """

    version: int = 1
    request: SampleRequest
    model: ModelReference
    image: int | None = None
    branch: BranchPoint | None = None
    time: float = 0.0  # seconds since 1970
    precision: str = ""
    device: str = ""
    studio_version: str = ""
    torch_version: str = ""

    def label_of(self, image: int) -> int:
        return self.request.classes[image % len(self.request.classes)]

    def class_of(self, image: int) -> str:
        """The name of an image's class, or its number where the model has no names."""
        label = self.label_of(image)
        names = self.model.class_names
        return names[label] if label < len(names) else str(label)


class SampleEntry(msgspec.Struct, frozen=True, kw_only=True):
    """`entry.json`, which makes a folder an entry of the history: written when drawing starts and when it ends."""

    record: SampleRecord
    state: Literal["drawing", "finished", "stopped", "failed"] = "drawing"
    images: int = 0  # finished and on the disk, as 000000.png …
    height: int = 0
    width: int = 0
    seconds: float = 0.0
    message: str = ""  # why it stopped or failed
