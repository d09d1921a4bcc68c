"""The Diffusion Transformer (Peebles & Xie 2023, arXiv:2212.09748), from the patch embedding to the last layer.

Parameters are named, shaped and initialised as in the published DiT checkpoints. What is looked at is in `attention`.
Letters in shapes: B images, C channels, H and W pixels, p patch size, N = H·W/p² tokens, D hidden size.
"""

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from dit_studio.engine.attention import (
    Attend,
    CrossAttention,
    FullAttention,
    GroupedAttention,
    Rope,
    SelfAttention,
    WindowAttention,
)
from dit_studio.errors import ShapeError

Norm = Callable[..., nn.Module]  # of a width, with eps and elementwise_affine
_EXTRA_TOKENS = 2  # of in-context conditioning: the time and the label


class DiT(nn.Module):
    """Predicts the noise in x_t, and with `learn_sigma` also how the variance of the step lies between its bounds.

    `num_classes` labels, and, if `class_dropout_prob` is not 0, one more row for "no class" (`null_class`), which
    classifier-free guidance needs. `forward` draws nothing at random: labels are dropped by `drop_labels`.
    `dialect`: "facebook" or "diffusers", whose numbers differ a little for the same weights. `sit_timesteps`: for a
    flow as SiT and LightningDiT train it, the length of the schedule whose timesteps `forward` takes.
    Raises: ShapeError if patch, heads, window or width do not fit.
    """

    def __init__(
        self,
        *,
        input_size: int = 32,
        patch_size: int = 2,
        in_channels: int = 4,
        hidden_size: int = 1152,
        depth: int = 28,
        num_heads: int = 16,
        mlp_ratio: float = 4.0,
        class_dropout_prob: float = 0.1,
        num_classes: int = 1000,
        learn_sigma: bool = True,
        block: str = "adaln-zero",
        attention: str = "full",
        num_kv_heads: int | None = None,
        window: int = 7,
        position: str = "sincos",
        rope: bool = False,
        qk_norm: bool = False,
        norm: str = "layer",
        mlp: str = "gelu",
        dialect: str = "facebook",
        sit_timesteps: int | None = None,
        gradient_checkpointing: bool = False,
    ) -> None:
        super().__init__()
        _check_sizes(input_size, patch_size, hidden_size, num_heads, num_kv_heads)
        self.input_size, self.patch_size = input_size, patch_size
        self.in_channels, self.out_channels = in_channels, in_channels * (2 if learn_sigma else 1)
        self.num_classes, self.class_dropout_prob = num_classes, class_dropout_prob
        self.learn_sigma, self.gradient_checkpointing = learn_sigma, gradient_checkpointing
        self.sit_timesteps = sit_timesteps
        self.has_extra_tokens, self.sums_conditioning = block == "in-context", block in ("adaln-zero", "adaln")
        grid_size, extra = input_size // patch_size, _EXTRA_TOKENS if self.has_extra_tokens else 0

        self.x_embedder = PatchEmbedder(patch_size=patch_size, in_channels=in_channels, hidden_size=hidden_size)
        self.t_embedder = TimestepEmbedder(hidden_size, spread=127 if dialect == "diffusers" else 128)
        self.y_embedder = LabelEmbedder(num_classes + (class_dropout_prob > 0), hidden_size)
        self.pos_embed = _position_embedding(position, hidden_size, grid_size=grid_size)

        norms: Norm = nn.RMSNorm if norm == "rms" else nn.LayerNorm
        attn = partial(
            SelfAttention,
            hidden_size,
            num_heads=num_heads,
            num_kv_heads=num_kv_heads if attention == "grouped" else None,
            kind=_attention_kind(attention, grid_size=grid_size, window=window, extra=extra),
            rope=Rope(hidden_size // num_heads, grid_size=grid_size, extra=extra) if rope else None,
            norm=partial(norms, eps=1e-6) if qk_norm else None,
        )
        mlp_of = partial(SwiGlu if mlp == "swiglu" else Mlp, hidden_size, width=int(hidden_size * mlp_ratio))
        mlp_norm_eps = 1e-5 if dialect == "diffusers" else 1e-6
        block_kind, final_kind = _BLOCKS[block]
        self.blocks = nn.ModuleList(
            block_kind(hidden_size, attn=attn(), mlp=mlp_of(), norm=norms, mlp_norm_eps=mlp_norm_eps)
            for _ in range(depth)
        )
        self.final_layer = final_kind(hidden_size, patch_size=patch_size, out_channels=self.out_channels, norm=norms)
        self._initialise()

    @property
    def null_class(self) -> int | None:
        """The label that means "no class"; None if the model was built without one."""
        return self.num_classes if self.class_dropout_prob > 0 else None

    def forward(self, x: Tensor, t: Tensor, y: Tensor) -> Tensor:
        """Shapes: x (B, C, H, W), t (B,) timesteps, y (B,) labels -> (B, C or 2·C, H, W).

        Raises: ShapeError if x is not `in_channels` × `input_size` × `input_size`.
        """
        self._check_input(x)
        if self.sit_timesteps:
            t = 1 - t / self.sit_timesteps  # from 0, noise, to 1
        x = self.x_embedder(x) + self.pos_embed  # (B, N, D)
        tokens = x.shape[1]
        c = self._conditioning(self.t_embedder(t), self.y_embedder(y))  # (B, D) or (B, 2, D)
        if self.has_extra_tokens:
            x = torch.cat([x, c.to(x.dtype)], dim=1)  # (B, N + 2, D)
        for block in self.blocks:
            if self.gradient_checkpointing and self.training:
                x = checkpoint(block, x, c, use_reentrant=False)  # (B, N, D)
            else:
                x = block(x, c)  # (B, N, D)
        x = self.final_layer(x[:, :tokens], c)  # (B, N, p²·out)
        x = unpatchify(x, patch_size=self.patch_size, channels=self.out_channels)  # (B, out, H, W)
        return -x if self.sit_timesteps else x  # its velocity points to the image, ours to the noise

    def _conditioning(self, t: Tensor, y: Tensor) -> Tensor:
        """Time and label as a block takes them: their sum, or both as a sequence."""
        return t + y if self.sums_conditioning else torch.stack([t, y], dim=1)

    def drop_labels(self, y: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        """Replace a share `class_dropout_prob` of the labels (B,) by the null class. The generator lives on the CPU."""
        if self.null_class is None:
            return y
        dropped = torch.rand(y.shape, generator=generator) < self.class_dropout_prob
        return torch.where(dropped.to(y.device), self.null_class, y)

    def _check_input(self, x: Tensor) -> None:
        expected = (self.in_channels, self.input_size, self.input_size)
        if tuple(x.shape[1:]) != expected:
            raise ShapeError(f"The model takes images of shape {expected}, not {tuple(x.shape[1:])}.")

    def _initialise(self) -> None:
        """As published: Xavier for linear layers and the patch embedding, small normals for the embedders, zeros for
        every modulation and the last layer, so that each adaLN-Zero block is the identity at first."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
        patch_weight = self.x_embedder.proj.weight
        nn.init.xavier_uniform_(patch_weight.data.view(patch_weight.shape[0], -1))
        assert self.x_embedder.proj.bias is not None
        nn.init.zeros_(self.x_embedder.proj.bias)
        nn.init.normal_(self.y_embedder.embedding_table.weight, std=0.02)
        for index in (0, 2):
            nn.init.normal_(self.t_embedder.mlp[index].weight, std=0.02)  # type: ignore[arg-type]
        for module in self.modules():
            if isinstance(modulation := getattr(module, "adaLN_modulation", None), nn.Sequential):
                nn.init.zeros_(modulation[1].weight)  # type: ignore[arg-type]
                nn.init.zeros_(modulation[1].bias)  # type: ignore[arg-type]
        nn.init.zeros_(self.final_layer.linear.weight)
        nn.init.zeros_(self.final_layer.linear.bias)


def _check_sizes(input_size: int, patch_size: int, hidden_size: int, num_heads: int, num_kv_heads: int | None) -> None:
    if input_size % patch_size:
        raise ShapeError(f"A patch of {patch_size} does not divide an image of {input_size}; choose one that does.")
    if hidden_size % num_heads:
        raise ShapeError(f"{num_heads} heads do not divide a width of {hidden_size}; choose a divisor.")
    if hidden_size % 4:
        raise ShapeError(f"A width of {hidden_size} is not a multiple of 4, which the position embedding needs.")
    if num_kv_heads and num_heads % num_kv_heads:
        raise ShapeError(f"{num_kv_heads} key/value heads do not divide {num_heads} heads; choose a divisor.")


def _attention_kind(name: str, *, grid_size: int, window: int, extra: int) -> Attend:
    match name:
        case "grouped":
            return GroupedAttention()
        case "window":
            return WindowAttention(grid_size=grid_size, window=window, extra=extra)
        case _:
            return FullAttention()


# ------------------------------------------------------------------------------------------------- embedders


class PatchEmbedder(nn.Module):
    """Cut an image into patches, rows first, and embed each linearly."""

    def __init__(self, *, patch_size: int, in_channels: int, hidden_size: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(in_channels, hidden_size, kernel_size=patch_size, stride=patch_size)

    def forward(self, x: Tensor) -> Tensor:
        """Shapes: (B, C, H, W) -> (B, N, D). A linear layer over patches is the same as the convolution, and faster."""
        patches = patchify(x, patch_size=self.proj.kernel_size[0])  # (B, N, C·p²)
        return F.linear(patches, self.proj.weight.flatten(1), self.proj.bias)  # (B, N, D)


class TimestepEmbedder(nn.Module):
    """Embed a timestep by its sinusoids and a small MLP."""

    frequencies: Tensor

    def __init__(self, hidden_size: int, *, spread: int = 128) -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(256, hidden_size), nn.SiLU(), nn.Linear(hidden_size, hidden_size))
        # on the CPU also where a model is built without memory: it is in no file
        exponents = torch.arange(128, dtype=torch.float32, device="cpu") / spread
        self.register_buffer("frequencies", torch.exp(-math.log(10_000) * exponents), persistent=False)

    def forward(self, t: Tensor) -> Tensor:
        """Shapes: t (B,) -> (B, D)."""
        angles = t[:, None].float() * self.frequencies  # (B, 128)
        embedding = torch.cat([angles.cos(), angles.sin()], dim=-1)  # (B, 256)
        result: Tensor = self.mlp(embedding)  # (B, D)
        return result


class LabelEmbedder(nn.Module):
    """A row for each label."""

    def __init__(self, rows: int, hidden_size: int) -> None:
        super().__init__()
        self.embedding_table = nn.Embedding(rows, hidden_size)

    def forward(self, y: Tensor) -> Tensor:
        """Shapes: y (B,) -> (B, D)."""
        result: Tensor = self.embedding_table(y)
        return result


# ------------------------------------------------------------------------------------------------- blocks


class DiTBlock(nn.Module):
    """Attention and MLP, each shifted, scaled and gated by the conditioning: adaLN-Zero."""

    def __init__(
        self, hidden_size: int, *, attn: SelfAttention, mlp: nn.Module, norm: Norm, mlp_norm_eps: float = 1e-6
    ) -> None:
        super().__init__()
        self.norm1 = norm(hidden_size, elementwise_affine=False, eps=1e-6)
        self.attn = attn
        self.norm2 = norm(hidden_size, elementwise_affine=False, eps=mlp_norm_eps)
        self.mlp = mlp
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(hidden_size, 6 * hidden_size))

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        """Shapes: x (B, N, D), c (B, D) -> (B, N, D)."""
        modulation = self.adaLN_modulation(c).unsqueeze(1).chunk(6, dim=-1)  # six of (B, 1, D)
        shift_msa, scale_msa, gate_msa, shift_mlp, scale_mlp, gate_mlp = modulation
        x = x + gate_msa * self.attn(modulate(self.norm1(x), shift_msa, scale_msa))
        x = x + gate_mlp * self.mlp(modulate(self.norm2(x), shift_mlp, scale_mlp))
        return x  # noqa: RET504  so that both sublayers read alike


class AdaLNBlock(nn.Module):
    """Attention and MLP, each shifted and scaled by the conditioning: adaLN."""

    def __init__(
        self, hidden_size: int, *, attn: SelfAttention, mlp: nn.Module, norm: Norm, mlp_norm_eps: float = 1e-6
    ) -> None:
        super().__init__()
        self.norm1 = norm(hidden_size, elementwise_affine=False, eps=1e-6)
        self.attn = attn
        self.norm2 = norm(hidden_size, elementwise_affine=False, eps=mlp_norm_eps)
        self.mlp = mlp
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(hidden_size, 4 * hidden_size))

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        """Shapes: x (B, N, D), c (B, D) -> (B, N, D)."""
        shift_msa, scale_msa, shift_mlp, scale_mlp = self.adaLN_modulation(c).unsqueeze(1).chunk(4, dim=-1)
        x = x + self.attn(modulate(self.norm1(x), shift_msa, scale_msa))
        x = x + self.mlp(modulate(self.norm2(x), shift_mlp, scale_mlp))
        return x  # noqa: RET504


class CrossAttentionBlock(nn.Module):
    """Between attention and MLP the tokens look at the time and the label, a sequence of two."""

    def __init__(
        self, hidden_size: int, *, attn: SelfAttention, mlp: nn.Module, norm: Norm, mlp_norm_eps: float = 1e-6
    ) -> None:
        super().__init__()
        self.norm1 = norm(hidden_size, eps=1e-6)
        self.attn = attn
        self.norm_cross = norm(hidden_size, eps=1e-6)
        self.cross_attn = CrossAttention(hidden_size, num_heads=attn.num_heads)
        self.norm2 = norm(hidden_size, eps=mlp_norm_eps)
        self.mlp = mlp

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        """Shapes: x (B, N, D), c (B, 2, D) -> (B, N, D)."""
        x = x + self.attn(self.norm1(x))
        x = x + self.cross_attn(self.norm_cross(x), c)
        x = x + self.mlp(self.norm2(x))
        return x  # noqa: RET504


class InContextBlock(nn.Module):
    """A plain transformer block: the time and the label are among the tokens."""

    def __init__(
        self, hidden_size: int, *, attn: SelfAttention, mlp: nn.Module, norm: Norm, mlp_norm_eps: float = 1e-6
    ) -> None:
        super().__init__()
        self.norm1 = norm(hidden_size, eps=1e-6)
        self.attn = attn
        self.norm2 = norm(hidden_size, eps=mlp_norm_eps)
        self.mlp = mlp

    def forward(self, x: Tensor, _: Tensor) -> Tensor:
        """Shapes: (B, N + 2, D) -> (B, N + 2, D)."""
        x = x + self.attn(self.norm1(x))
        x = x + self.mlp(self.norm2(x))
        return x  # noqa: RET504


class Mlp(nn.Module):
    """Two linear layers around a GELU (its tanh form, as published)."""

    def __init__(self, hidden_size: int, *, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(hidden_size, width)
        self.fc2 = nn.Linear(width, hidden_size)

    def forward(self, x: Tensor) -> Tensor:
        """Shapes: (B, N, D) -> (B, N, D)."""
        result: Tensor = self.fc2(F.gelu(self.fc1(x), approximate="tanh"))
        return result


class SwiGlu(nn.Module):
    """A linear layer gated by the SiLU of another, then a third (Shazeer 2020, arXiv:2002.05202).

    Two thirds of the width, to a multiple of 8, cost what two layers of the whole width do.
    """

    def __init__(self, hidden_size: int, *, width: int) -> None:
        super().__init__()
        width = 8 * max(1, round(width * 2 / 3 / 8))
        self.w12 = nn.Linear(hidden_size, 2 * width)
        self.w3 = nn.Linear(width, hidden_size)

    def forward(self, x: Tensor) -> Tensor:
        """Shapes: (B, N, D) -> (B, N, D)."""
        gate, value = self.w12(x).chunk(2, dim=-1)
        result: Tensor = self.w3(F.silu(gate) * value)
        return result


class FinalLayer(nn.Module):
    """The last, modulated norm and the projection of every token to its patch."""

    def __init__(self, hidden_size: int, *, patch_size: int, out_channels: int, norm: Norm = nn.LayerNorm) -> None:
        super().__init__()
        self.norm_final = norm(hidden_size, elementwise_affine=False, eps=1e-6)
        self.linear = nn.Linear(hidden_size, patch_size**2 * out_channels)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(hidden_size, 2 * hidden_size))

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        """Shapes: x (B, N, D), c (B, D) -> (B, N, p²·out)."""
        shift, scale = self.adaLN_modulation(c).unsqueeze(1).chunk(2, dim=-1)  # each (B, 1, D)
        result: Tensor = self.linear(modulate(self.norm_final(x), shift, scale))
        return result


class PlainFinalLayer(nn.Module):
    """The last norm and the projection of every token to its patch, where nothing is modulated."""

    def __init__(self, hidden_size: int, *, patch_size: int, out_channels: int, norm: Norm = nn.LayerNorm) -> None:
        super().__init__()
        self.norm_final = norm(hidden_size, eps=1e-6)
        self.linear = nn.Linear(hidden_size, patch_size**2 * out_channels)

    def forward(self, x: Tensor, _: Tensor) -> Tensor:
        """Shapes: (B, N, D) -> (B, N, p²·out)."""
        result: Tensor = self.linear(self.norm_final(x))
        return result


_BLOCKS: dict[str, tuple[Callable[..., nn.Module], Callable[..., FinalLayer | PlainFinalLayer]]] = {
    "adaln-zero": (DiTBlock, FinalLayer),
    "adaln": (AdaLNBlock, FinalLayer),
    "cross-attention": (CrossAttentionBlock, PlainFinalLayer),
    "in-context": (InContextBlock, PlainFinalLayer),
}


# ------------------------------------------------------------------------------------------------- images and tokens


def modulate(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """x · (1 + scale) + shift. Shapes: x (B, N, D), shift and scale (B, 1, D) -> (B, N, D)."""
    return torch.addcmul(shift, x, 1 + scale)


def patchify(images: Tensor, *, patch_size: int) -> Tensor:
    """Cut images into patches, rows first.

    Shapes: (B, C, H, W) -> (B, N, C·p²), a patch's numbers in the order channel, row, column.
    """
    batch, channels, height, width = images.shape
    p = patch_size
    patches = images.reshape(batch, channels, height // p, p, width // p, p)
    return patches.permute(0, 2, 4, 1, 3, 5).reshape(batch, (height // p) * (width // p), channels * p * p)


def unpatchify(tokens: Tensor, *, patch_size: int, channels: int) -> Tensor:
    """Put patch tokens back together as images.

    Shapes: (B, N, p²·channels), a token's numbers in the order row, column, channel -> (B, channels, H, W),
    H = W = p·√N. Raises: ShapeError if N is not a square.
    Source: Peebles & Xie 2023, arXiv:2212.09748, "Transformer decoder".
    """
    batch, count, _ = tokens.shape
    side = math.isqrt(count)
    if side * side != count:
        raise ShapeError(f"{count} tokens do not make a square image.")
    p = patch_size
    images = tokens.reshape(batch, side, side, p, p, channels).permute(0, 5, 1, 3, 2, 4)  # (B, out, h, p, w, p)
    return images.reshape(batch, channels, side * p, side * p)


def _position_embedding(kind: str, hidden_size: int, *, grid_size: int) -> nn.Parameter:
    """Shape: (1, grid_size², hidden_size); trained only if it is learned."""
    if kind == "learned":
        return nn.Parameter(torch.empty(1, grid_size**2, hidden_size).normal_(std=0.02))
    return nn.Parameter(sincos_position_embedding(hidden_size, grid_size=grid_size), requires_grad=False)


def sincos_position_embedding(hidden_size: int, *, grid_size: int) -> Tensor:
    """The fixed two-dimensional sine-cosine embedding of a square grid.

    Shape: (1, grid_size², hidden_size); the first half encodes the column, the second the row, each sines first.
    Source: He et al. 2021, arXiv:2111.06377, as in the published DiT.
    """
    frequencies = 10_000.0 ** -(torch.arange(hidden_size // 4, dtype=torch.float64) / (hidden_size / 4))  # (D/4,)
    angles = torch.arange(grid_size, dtype=torch.float64)[:, None] * frequencies  # (grid, D/4)
    axis = torch.cat([angles.sin(), angles.cos()], dim=1)  # (grid, D/2)
    columns = axis.repeat(grid_size, 1)  # (grid², D/2), the column changes fastest
    rows = axis.repeat_interleave(grid_size, dim=0)  # (grid², D/2)
    return torch.cat([columns, rows], dim=1).float().unsqueeze(0)
