"""Inception-v3 as the Fréchet Inception Distance uses it: the network of "inception-2015-12-05", with 1008 logits.

Parameter names are those of the published PyTorch port. It differs from the textbook network: averages leave out the
border, the last block pools by the maximum, there is no auxiliary classifier, and batch norm's ε is 0.001.
Sources: Szegedy et al. 2016, arXiv:1512.00567; Heusel et al. 2017, arXiv:1706.08500.
"""

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dit_studio.engine.evaluation.extractors.extractor import MAIN_OUTPUT, Extractor, weights_sha256
from dit_studio.engine.evaluation.extractors.inception_files import read_inception_weights
from dit_studio.engine.evaluation.preprocessing import INCEPTION_WAYS
from dit_studio.errors import ConfigError, Problem

OUTPUTS = {MAIN_OUTPUT: 2048, "spatial": 2023, "logits": 1008}
_SPATIAL_CHANNELS = 7  # Nash et al. 2021, arXiv:2103.03841

_Size = int | tuple[int, int]


def open_inception(path: Path, *, device: torch.device, protocol: str = "adm-tf1") -> Extractor:
    """Outputs: "features" (pool_3), "spatial" (of Mixed_6d, for sFID) and "logits" (without bias, for IS).

    Raises: CheckpointError if the file does not hold this network; ConfigError if there is no such protocol.
    """
    if protocol not in INCEPTION_WAYS:
        message = f'There is no protocol "{protocol}" for Inception: it takes one of {", ".join(INCEPTION_WAYS)}.'
        raise ConfigError([Problem("evaluate.protocol", message, protocol)])
    network = Inception().eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing stub
    tensors = read_inception_weights(path, {name: tensor.shape for name, tensor in network.state_dict().items()})
    network.load_state_dict(tensors, strict=False)  # all there, but for counters that nothing needs
    return Extractor(
        name="inception",
        label="Inception-v3",
        outputs=OUTPUTS,
        weights_sha256=weights_sha256(tensors),
        preprocessing=INCEPTION_WAYS[protocol],
        device=device,
        network=network.to(device),
    )


class Inception(nn.Module):
    """Shapes: (B, 3, 299, 299), about -1…1 -> features (B, 2048), spatial (B, 2023), logits (B, 1008)."""

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = _Conv(3, 32, 3, stride=2)
        self.Conv2d_2a_3x3 = _Conv(32, 32, 3)
        self.Conv2d_2b_3x3 = _Conv(32, 64, 3, padding=1)
        self.Conv2d_3b_1x1 = _Conv(64, 80, 1)
        self.Conv2d_4a_3x3 = _Conv(80, 192, 3)
        self.Mixed_5b = _BlockA(192, pool_channels=32)
        self.Mixed_5c = _BlockA(256, pool_channels=64)
        self.Mixed_5d = _BlockA(288, pool_channels=64)
        self.Mixed_6a = _BlockB(288)
        self.Mixed_6b = _BlockC(768, inner=128)
        self.Mixed_6c = _BlockC(768, inner=160)
        self.Mixed_6d = _BlockC(768, inner=160)
        self.Mixed_6e = _BlockC(768, inner=192)
        self.Mixed_7a = _BlockD(768)
        self.Mixed_7b = _BlockE(1280, pools_by_maximum=False)
        self.Mixed_7c = _BlockE(2048, pools_by_maximum=True)
        self.fc = nn.Linear(2048, 1008)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        x = x.contiguous(memory_format=torch.channels_last)
        x = self.Conv2d_1a_3x3(x)  # (B, 32, 149, 149)
        x = self.Conv2d_2a_3x3(x)  # (B, 32, 147, 147)
        x = self.Conv2d_2b_3x3(x)  # (B, 64, 147, 147)
        x = F.max_pool2d(x, 3, stride=2)  # (B, 64, 73, 73)
        x = self.Conv2d_3b_1x1(x)  # (B, 80, 73, 73)
        x = self.Conv2d_4a_3x3(x)  # (B, 192, 71, 71)
        x = F.max_pool2d(x, 3, stride=2)  # (B, 192, 35, 35)
        x = self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(x)))  # (B, 288, 35, 35)
        x = self.Mixed_6a(x)  # (B, 768, 17, 17)
        x = self.Mixed_6d(self.Mixed_6c(self.Mixed_6b(x)))  # (B, 768, 17, 17)
        spatial = flatten_spatial(x)  # (B, 2023)
        x = self.Mixed_7a(self.Mixed_6e(x))  # (B, 1280, 8, 8)
        x = self.Mixed_7c(self.Mixed_7b(x))  # (B, 2048, 8, 8)
        features = x.mean((2, 3))  # (B, 2048)
        return {MAIN_OUTPUT: features, "spatial": spatial, "logits": features @ self.fc.weight.T}


def flatten_spatial(x: Tensor) -> Tensor:
    """The first 7 channels, flattened with the channel last: the order of published `mu_s` and `sigma_s`.

    Shapes: (B, C, H, W) -> (B, H * W * 7).
    """
    return x[:, :_SPATIAL_CHANNELS].permute(0, 2, 3, 1).flatten(1)


class _Conv(nn.Module):
    """Convolution, batch norm, ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: _Size, *, stride: int = 1, padding: _Size = 0) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=padding, bias=False)
        self.bn = nn.BatchNorm2d(outputs, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)))


def _row(inputs: int, outputs: int, length: int = 7) -> _Conv:
    """1 × length."""
    return _Conv(inputs, outputs, (1, length), padding=(0, length // 2))


def _column(inputs: int, outputs: int, length: int = 7) -> _Conv:
    """length × 1."""
    return _Conv(inputs, outputs, (length, 1), padding=(length // 2, 0))


def _averages(x: Tensor) -> Tensor:
    return F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)


class _BlockA(nn.Module):
    """(B, inputs, 35, 35) -> (B, 224 + pool_channels, 35, 35)."""

    def __init__(self, inputs: int, *, pool_channels: int) -> None:
        super().__init__()
        self.branch1x1 = _Conv(inputs, 64, 1)
        self.branch5x5_1 = _Conv(inputs, 48, 1)
        self.branch5x5_2 = _Conv(48, 64, 5, padding=2)
        self.branch3x3dbl_1 = _Conv(inputs, 64, 1)
        self.branch3x3dbl_2 = _Conv(64, 96, 3, padding=1)
        self.branch3x3dbl_3 = _Conv(96, 96, 3, padding=1)
        self.branch_pool = _Conv(inputs, pool_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        middle = self.branch5x5_2(self.branch5x5_1(x))
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat([self.branch1x1(x), middle, double, self.branch_pool(_averages(x))], 1)


class _BlockB(nn.Module):
    """(B, inputs, 35, 35) -> (B, 480 + inputs, 17, 17)."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.branch3x3 = _Conv(inputs, 384, 3, stride=2)
        self.branch3x3dbl_1 = _Conv(inputs, 64, 1)
        self.branch3x3dbl_2 = _Conv(64, 96, 3, padding=1)
        self.branch3x3dbl_3 = _Conv(96, 96, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat([self.branch3x3(x), double, F.max_pool2d(x, 3, stride=2)], 1)


class _BlockC(nn.Module):
    """(B, inputs, 17, 17) -> (B, 768, 17, 17)."""

    def __init__(self, inputs: int, *, inner: int) -> None:
        super().__init__()
        self.branch1x1 = _Conv(inputs, 192, 1)
        self.branch7x7_1 = _Conv(inputs, inner, 1)
        self.branch7x7_2 = _row(inner, inner)
        self.branch7x7_3 = _column(inner, 192)
        self.branch7x7dbl_1 = _Conv(inputs, inner, 1)
        self.branch7x7dbl_2 = _column(inner, inner)
        self.branch7x7dbl_3 = _row(inner, inner)
        self.branch7x7dbl_4 = _column(inner, inner)
        self.branch7x7dbl_5 = _row(inner, 192)
        self.branch_pool = _Conv(inputs, 192, 1)

    def forward(self, x: Tensor) -> Tensor:
        single = self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(x)))
        double = self.branch7x7dbl_3(self.branch7x7dbl_2(self.branch7x7dbl_1(x)))
        double = self.branch7x7dbl_5(self.branch7x7dbl_4(double))
        return torch.cat([self.branch1x1(x), single, double, self.branch_pool(_averages(x))], 1)


class _BlockD(nn.Module):
    """(B, inputs, 17, 17) -> (B, 512 + inputs, 8, 8)."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.branch3x3_1 = _Conv(inputs, 192, 1)
        self.branch3x3_2 = _Conv(192, 320, 3, stride=2)
        self.branch7x7x3_1 = _Conv(inputs, 192, 1)
        self.branch7x7x3_2 = _row(192, 192)
        self.branch7x7x3_3 = _column(192, 192)
        self.branch7x7x3_4 = _Conv(192, 192, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        small = self.branch3x3_2(self.branch3x3_1(x))
        large = self.branch7x7x3_4(self.branch7x7x3_3(self.branch7x7x3_2(self.branch7x7x3_1(x))))
        return torch.cat([small, large, F.max_pool2d(x, 3, stride=2)], 1)


class _BlockE(nn.Module):
    """(B, inputs, 8, 8) -> (B, 2048, 8, 8)."""

    def __init__(self, inputs: int, *, pools_by_maximum: bool) -> None:
        super().__init__()
        self._pools_by_maximum = pools_by_maximum
        self.branch1x1 = _Conv(inputs, 320, 1)
        self.branch3x3_1 = _Conv(inputs, 384, 1)
        self.branch3x3_2a = _row(384, 384, 3)
        self.branch3x3_2b = _column(384, 384, 3)
        self.branch3x3dbl_1 = _Conv(inputs, 448, 1)
        self.branch3x3dbl_2 = _Conv(448, 384, 3, padding=1)
        self.branch3x3dbl_3a = _row(384, 384, 3)
        self.branch3x3dbl_3b = _column(384, 384, 3)
        self.branch_pool = _Conv(inputs, 192, 1)

    def forward(self, x: Tensor) -> Tensor:
        single = self.branch3x3_1(x)
        double = self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        pooled = F.max_pool2d(x, 3, stride=1, padding=1) if self._pools_by_maximum else _averages(x)
        branches = [
            self.branch1x1(x),
            self.branch3x3_2a(single),
            self.branch3x3_2b(single),
            self.branch3x3dbl_3a(double),
            self.branch3x3dbl_3b(double),
            self.branch_pool(pooled),
        ]
        return torch.cat(branches, 1)
