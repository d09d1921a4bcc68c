"""`dit-studio inspect VAE`: what a VAE is, and with --data what it makes of one's images before any training."""

import argparse
from pathlib import Path
from typing import Any

import msgspec

from dit_studio.cli_output import Ticker, UsageError, answer, say, show
from dit_studio.errors import StudioError
from dit_studio.model_events import Reconstruction

_SIZE, _COUNT = 256, 8


def add_vae_options(inspect: argparse.ArgumentParser) -> None:
    vae = inspect.add_argument_group("of a VAE: a folder, or a name on the hub as stabilityai/sd-vae-ft-ema")
    vae.add_argument("--data", metavar="DIR", help="also say how well it reconstructs some of these images (PSNR)")
    vae.add_argument(
        "--image-size", type=int, metavar="N", help=f"with --data: as they are trained on (default: {_SIZE} pixels)"
    )
    vae.add_argument("--count", type=int, metavar="N", help=f"with --data: how many images (default: {_COUNT})")
    vae.add_argument(
        "--out", type=Path, metavar="PNG", help="with --data: the images in the upper row, what becomes of them below"
    )


def is_vae(path: Path) -> bool:
    """A folder that holds an AutoencoderKL, or a name on the hub."""
    if not path.exists():
        return len(path.parts) == 2 and not path.is_absolute() and path.suffix == ""
    if not any((folder / "config.json").is_file() for folder in (path, path / "vae")):
        return False  # without torch
    from dit_studio.engine import latents_vae

    return latents_vae.is_vae(path)


def inspect_vae(options: argparse.Namespace) -> int:
    from dit_studio.engine.latents import describe_vae

    for asked in ("image_size", "count", "out"):
        if getattr(options, asked) is not None and options.data is None:
            raise UsageError(f"--{asked.replace('_', '-')} goes with --data DIR, the images to reconstruct.")
    (found,) = describe_vae(str(options.path))
    say(f"{found.path}: {found.name}, a VAE with {found.parameters:,} parameters, {found.size_bytes / 1e6:.1f} MB.")
    say(f"{found.factor} × {found.factor} pixels become a latent of {found.channels} channels.")
    if found.scale:
        say(f"latents are (z - {found.shift:g}) · {found.scale:g}; digest {found.digest}")
    for warning in found.warnings:
        say(f"warning: {warning}")
    seen = _reconstruct(options) if options.data is not None else {}
    answer(options, **msgspec.to_builtins(found), **seen)
    return 0


def _reconstruct(options: argparse.Namespace) -> dict[str, Any]:
    from dit_studio.engine.latents import reconstruct
    from dit_studio.engine.latents_vae import find_vae

    color = "grey" if find_vae(str(options.path)).image_channels == 1 else "rgb"
    recipe = {
        "data": {"path": options.data, "image_size": options.image_size or _SIZE, "color": color},
        "latents": {"vae": str(options.path)},
    }
    ticker, seen = Ticker(), None
    for event in reconstruct(recipe, _COUNT if options.count is None else options.count):
        if isinstance(event, Reconstruction):
            seen = event
        else:
            show(event, ticker, 0)
    if seen is None:
        raise StudioError("Nothing was reconstructed.")
    for number, decibels in zip(seen.numbers, seen.psnr, strict=True):
        say(f"  image {number:>7,}  {decibels:5.1f} dB")
    side = seen.latent_size
    say(f"PSNR {seen.mean_psnr:.2f} dB on average, {side} × {side} latents of images of {seen.size} pixels.")
    if options.out is not None:
        _write_picture(options.out, seen)
    return {"psnr": list(seen.psnr), "mean_psnr": seen.mean_psnr, "numbers": list(seen.numbers), "latent_size": side}


def _write_picture(file: Path, seen: Reconstruction) -> None:
    import numpy as np

    from dit_studio.engine.export.png import encode_png, grid
    from dit_studio.files import write_atomically

    images = np.frombuffer(seen.data, np.uint8).reshape(2 * len(seen.numbers), seen.size, seen.size, 3)
    write_atomically(file, encode_png(grid(images, columns=len(seen.numbers), gap=2)))
    say(f"{file}")
