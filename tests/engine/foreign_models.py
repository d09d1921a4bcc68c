"""Small models of other programs: states in the names and shapes of the published code, and what diffusers writes."""

import argparse
import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dit_studio.engine.model import sincos_position_embedding

LIKELY = {"objective": "epsilon", "num_heads": "2", "null_class": "yes", "vae": "stabilityai/sd-vae-ft-ema"}


def published_shapes(
    *, width: int = 32, depth: int = 2, patch: int = 2, channels: int = 4, grid: int = 4, rows: int = 4, out: int = 8
) -> dict[str, tuple[int, ...]]:
    """The names and shapes of a published state, by the published code."""
    shapes: dict[str, tuple[int, ...]] = {
        "pos_embed": (1, grid * grid, width),
        "x_embedder.proj.weight": (width, channels, patch, patch), "x_embedder.proj.bias": (width,),
        "t_embedder.mlp.0.weight": (width, 256), "t_embedder.mlp.0.bias": (width,),
        "t_embedder.mlp.2.weight": (width, width), "t_embedder.mlp.2.bias": (width,),
        "y_embedder.embedding_table.weight": (rows, width),
    }  # fmt: skip
    layers = {"attn.qkv": (3 * width, width), "attn.proj": (width, width), "mlp.fc1": (4 * width, width),
              "mlp.fc2": (width, 4 * width), "adaLN_modulation.1": (6 * width, width)}  # fmt: skip
    named = {f"blocks.{block}.{name}": shape for block in range(depth) for name, shape in layers.items()}
    named |= {
        "final_layer.linear": (patch * patch * out, width),
        "final_layer.adaLN_modulation.1": (2 * width, width),
    }
    for name, (rows_out, columns) in named.items():
        shapes |= {f"{name}.weight": (rows_out, columns), f"{name}.bias": (rows_out,)}
    return shapes


def published_state(seed: int = 0, **sizes: int) -> dict[str, Tensor]:
    """A state of random numbers, with the fixed position embedding."""
    generator = torch.Generator().manual_seed(seed)
    shapes = published_shapes(**sizes)
    state = {name: torch.randn(shape, generator=generator) * 0.1 for name, shape in shapes.items()}
    _, tokens, width = shapes["pos_embed"]
    state["pos_embed"] = sincos_position_embedding(width, grid_size=int(tokens**0.5))
    return state


def training_checkpoint(**args: Any) -> dict[str, Any]:
    """As the published training script saves it: raw, averaged, an optimizer, and the command line."""
    raw, averaged = published_state(1), published_state(2)
    moments = {0: {"step": torch.tensor(3.0), "exp_avg": torch.zeros(4)}}
    settings = argparse.Namespace(results_dir="results", image_size=64, num_classes=3, **args)
    return {"model": raw, "ema": averaged, "opt": {"state": moments, "param_groups": [{"lr": 1e-4}]}, "args": settings}


def diffusers_transformer(*, seed: int = 0, depth: int = 2, classes: int = 3, out: int = 8, channels: int = 4) -> Any:
    """diffusers' own model, whose blocks' embedders are the same, as in what is published."""
    from diffusers import DiTTransformer2DModel

    torch.manual_seed(seed)
    model = DiTTransformer2DModel(
        num_attention_heads=2, attention_head_dim=16, in_channels=channels, out_channels=out, num_layers=depth,
        sample_size=8, patch_size=2, num_embeds_ada_norm=classes,
    )  # fmt: skip
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape) * 0.1)
    first = model.transformer_blocks[0].norm1.emb.state_dict()
    for block in model.transformer_blocks[1:]:
        block.norm1.emb.load_state_dict(first)
    return model.eval()


def small_vae() -> Any:
    from diffusers import AutoencoderKL

    torch.manual_seed(5)
    return AutoencoderKL(
        in_channels=3, out_channels=3, latent_channels=4, block_out_channels=(8, 8), norm_num_groups=4, sample_size=16,
        down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2,
    ).eval()  # fmt: skip


def write_pipeline(folder: Path, *, classes: int = 3, old: bool = False, as_pickle: bool = False) -> Any:
    """A DiTPipeline as diffusers writes it; `old`: under the class that the published folders name. Returns it."""
    from diffusers import DDIMScheduler, DiTPipeline

    pipeline = DiTPipeline(diffusers_transformer(classes=classes), small_vae(), DDIMScheduler())
    pipeline.save_pretrained(folder, safe_serialization=not as_pickle)
    change_json(folder / "model_index.json", id2label={str(number): f"kind {number}" for number in range(classes)})
    if old:
        change_json(folder / "transformer" / "config.json", _class_name="Transformer2DModel")
    return pipeline


def change_json(file: Path, **values: Any) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | values))
