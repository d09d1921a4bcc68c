"""diffusers' own DiT with our weights, and the loop of its DiTPipeline: what our sampling is measured against."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from dit_studio.engine.model import DiT


def as_diffusers_model(model: DiT) -> Any:
    """diffusers' DiTTransformer2DModel with the weights of ours. Raises: ImportError where it has none."""
    from diffusers import DiTTransformer2DModel

    first: Any = model.blocks[0]
    theirs = DiTTransformer2DModel(
        num_attention_heads=first.attn.num_heads,
        attention_head_dim=model.pos_embed.shape[-1] // first.attn.num_heads,
        in_channels=model.in_channels,
        out_channels=model.out_channels,
        num_layers=len(model.blocks),
        sample_size=model.input_size,
        patch_size=model.patch_size,
        num_embeds_ada_norm=model.num_classes,
    )
    theirs.load_state_dict(as_diffusers_state(model), strict=False)  # its position embedding is not in the state
    return theirs.to(model.pos_embed.device).eval()


def as_diffusers_state(model: DiT) -> dict[str, Tensor]:
    """Our weights under the names of diffusers' model."""
    ours = model.state_dict()
    theirs = {}
    for part in ("weight", "bias"):
        theirs[f"pos_embed.proj.{part}"] = ours[f"x_embedder.proj.{part}"]
        theirs[f"proj_out_1.{part}"] = ours[f"final_layer.adaLN_modulation.1.{part}"]
        theirs[f"proj_out_2.{part}"] = ours[f"final_layer.linear.{part}"]
        for i in range(len(model.blocks)):
            block, norm = f"transformer_blocks.{i}", f"transformer_blocks.{i}.norm1"
            theirs[f"{norm}.emb.timestep_embedder.linear_1.{part}"] = ours[f"t_embedder.mlp.0.{part}"]
            theirs[f"{norm}.emb.timestep_embedder.linear_2.{part}"] = ours[f"t_embedder.mlp.2.{part}"]
            theirs[f"{norm}.emb.class_embedder.embedding_table.weight"] = ours["y_embedder.embedding_table.weight"]
            theirs[f"{norm}.linear.{part}"] = ours[f"blocks.{i}.adaLN_modulation.1.{part}"]
            for name, rows in zip("qkv", ours[f"blocks.{i}.attn.qkv.{part}"].chunk(3), strict=True):
                theirs[f"{block}.attn1.to_{name}.{part}"] = rows
            theirs[f"{block}.attn1.to_out.0.{part}"] = ours[f"blocks.{i}.attn.proj.{part}"]
            theirs[f"{block}.ff.net.0.proj.{part}"] = ours[f"blocks.{i}.mlp.fc1.{part}"]
            theirs[f"{block}.ff.net.2.{part}"] = ours[f"blocks.{i}.mlp.fc2.{part}"]
    return theirs


@torch.no_grad()
def pipeline_steps(model: Any, noise: Tensor, labels: Tensor, *, steps: int, cfg: float) -> Iterator[Tensor]:
    """x after each step of DiTPipeline's loop with its default scheduler, DDIM, and its guidance on all channels."""
    from diffusers import DDIMScheduler

    scheduler = DDIMScheduler(1000, beta_start=1e-4, beta_end=0.02, clip_sample=False)
    scheduler.set_timesteps(steps)
    channels = noise.shape[1]
    y = torch.cat([labels, torch.full_like(labels, model.config.num_embeds_ada_norm)])
    x = torch.cat([noise, noise])
    for t in scheduler.timesteps:
        half = x[: len(x) // 2]
        x = scheduler.scale_model_input(torch.cat([half, half]), t)
        output = model(x, timestep=t[None].to(x.device).expand(len(x)), class_labels=y).sample
        conditional, unconditional = output[:, :channels].chunk(2)
        epsilon = unconditional + cfg * (conditional - unconditional)
        x = scheduler.step(torch.cat([epsilon, epsilon]), t, x).prev_sample
        yield x[: len(x) // 2]
