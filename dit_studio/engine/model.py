"""The Diffusion Transformer (Peebles & Xie 2023, arXiv:2212.09748), from the patch embedding to the last layer.

Parameters are named, shaped and initialised as in the published DiT checkpoints.
Letters in shapes: B images, C channels, H and W pixels, p patch size, N = H·W/p² tokens, D hidden size.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from dit_studio.engine import device
from dit_studio.errors import ShapeError


class DiT(nn.Module):
    """Predicts the noise in x_t, and with `learn_sigma` also how the variance of the step lies between its bounds.

    `num_classes` labels, and, if `class_dropout_prob` is not 0, one more row for "no class" (`null_class`), which
    classifier-free guidance needs. `forward` draws nothing at random: labels are dropped by `drop_labels`.
    Raises: ShapeError if patch, heads or width do not fit.
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
        gradient_checkpointing: bool = False,
    ) -> None:
        super().__init__()
        _check_sizes(input_size, patch_size, hidden_size, num_heads)
        self.input_size, self.patch_size = input_size, patch_size
        self.in_channels, self.out_channels = in_channels, in_channels * (2 if learn_sigma else 1)
        self.num_classes, self.class_dropout_prob = num_classes, class_dropout_prob
        self.learn_sigma, self.gradient_checkpointing = learn_sigma, gradient_checkpointing

        self.x_embedder = PatchEmbedder(patch_size=patch_size, in_channels=in_channels, hidden_size=hidden_size)
        self.t_embedder = TimestepEmbedder(hidden_size)
        self.y_embedder = LabelEmbedder(num_classes + (class_dropout_prob > 0), hidden_size)
        grid_size = input_size // patch_size
        self.pos_embed = nn.Parameter(sincos_position_embedding(hidden_size, grid_size=grid_size), requires_grad=False)
        self.blocks = nn.ModuleList(
            DiTBlock(hidden_size, num_heads=num_heads, mlp_ratio=mlp_ratio) for _ in range(depth)
        )
        self.final_layer = FinalLayer(hidden_size, patch_size=patch_size, out_channels=self.out_channels)
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
        x = self.x_embedder(x) + self.pos_embed  # (B, N, D)
        c = self.t_embedder(t) + self.y_embedder(y)  # (B, D)
        for block in self.blocks:
            if self.gradient_checkpointing and self.training:
                x = checkpoint(block, x, c, use_reentrant=False)  # (B, N, D)
            else:
                x = block(x, c)  # (B, N, D)
        x = self.final_layer(x, c)  # (B, N, p²·out)
        return unpatchify(x, patch_size=self.patch_size, channels=self.out_channels)  # (B, out, H, W)

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
        every modulation and the last layer, so that each block is the identity at first."""
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
            if isinstance(module, DiTBlock | FinalLayer):
                nn.init.zeros_(module.adaLN_modulation[1].weight)  # type: ignore[arg-type]
                nn.init.zeros_(module.adaLN_modulation[1].bias)  # type: ignore[arg-type]
        nn.init.zeros_(self.final_layer.linear.weight)
        nn.init.zeros_(self.final_layer.linear.bias)


def _check_sizes(input_size: int, patch_size: int, hidden_size: int, num_heads: int) -> None:
    if input_size % patch_size:
        raise ShapeError(f"A patch of {patch_size} does not divide an image of {input_size}; choose one that does.")
    if hidden_size % num_heads:
        raise ShapeError(f"{num_heads} heads do not divide a width of {hidden_size}; choose a divisor.")
    if hidden_size % 4:
        raise ShapeError(f"A width of {hidden_size} is not a multiple of 4, which the position embedding needs.")


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

    def __init__(self, hidden_size: int, *, frequency_size: int = 256) -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(frequency_size, hidden_size), nn.SiLU(), nn.Linear(hidden_size, hidden_size))
        half = frequency_size // 2
        frequencies = torch.exp(-math.log(10_000) * torch.arange(half, dtype=torch.float32) / half)
        self.register_buffer("frequencies", frequencies, persistent=False)

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


class DiTBlock(nn.Module):
    """Attention and MLP, each shifted, scaled and gated by the conditioning: adaLN-Zero."""

    def __init__(self, hidden_size: int, *, num_heads: int, mlp_ratio: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(hidden_size, elementwise_affine=False, eps=1e-6)
        self.attn = Attention(hidden_size, num_heads=num_heads)
        self.norm2 = nn.LayerNorm(hidden_size, elementwise_affine=False, eps=1e-6)
        self.mlp = Mlp(hidden_size, width=int(hidden_size * mlp_ratio))
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(hidden_size, 6 * hidden_size))

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        """Shapes: x (B, N, D), c (B, D) -> (B, N, D)."""
        modulation = self.adaLN_modulation(c).unsqueeze(1).chunk(6, dim=-1)  # six of (B, 1, D)
        shift_msa, scale_msa, gate_msa, shift_mlp, scale_mlp, gate_mlp = modulation
        x = x + gate_msa * self.attn(modulate(self.norm1(x), shift_msa, scale_msa))
        x = x + gate_mlp * self.mlp(modulate(self.norm2(x), shift_mlp, scale_mlp))
        return x  # noqa: RET504  so that both sublayers read alike


class Attention(nn.Module):
    """Multi-head self-attention over all tokens."""

    def __init__(self, hidden_size: int, *, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(hidden_size, 3 * hidden_size)
        self.proj = nn.Linear(hidden_size, hidden_size)

    def forward(self, x: Tensor) -> Tensor:
        """Shapes: (B, N, D) -> (B, N, D)."""
        qkv = self.qkv(x).unflatten(-1, (3, self.num_heads, -1))  # (B, N, 3, heads, D/heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # each (B, heads, N, D/heads)
        x = attend(q, k, v)  # (B, heads, N, D/heads)
        x = x.transpose(1, 2).flatten(2)  # (B, N, D)
        result: Tensor = self.proj(x)
        return result


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """softmax(q·kᵀ / √d)·v, by torch's fused kernel except where plain products are faster.

    Shapes: each (B, heads, N, d) -> (B, heads, N, d).
    """
    if not device.prefers_plain_attention(q):
        return F.scaled_dot_product_attention(q, k, v)
    scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2)  # (B, heads, N, N)
    attended: Tensor = scores.softmax(dim=-1) @ v
    return attended


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


class FinalLayer(nn.Module):
    """The last, modulated norm and the projection of every token to its patch."""

    def __init__(self, hidden_size: int, *, patch_size: int, out_channels: int) -> None:
        super().__init__()
        self.norm_final = nn.LayerNorm(hidden_size, elementwise_affine=False, eps=1e-6)
        self.linear = nn.Linear(hidden_size, patch_size**2 * out_channels)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(hidden_size, 2 * hidden_size))

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        """Shapes: x (B, N, D), c (B, D) -> (B, N, p²·out)."""
        shift, scale = self.adaLN_modulation(c).unsqueeze(1).chunk(2, dim=-1)  # each (B, 1, D)
        result: Tensor = self.linear(modulate(self.norm_final(x), shift, scale))
        return result


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
