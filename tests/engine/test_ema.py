"""The averaged weights."""

import pytest
import torch

from dit_studio.engine.ema import Ema, decay_at
from dit_studio.engine.model import DiT


def test_decay_warms_up() -> None:
    assert decay_at(1, decay=0.9999) == pytest.approx(2 / 11)
    assert decay_at(90, decay=0.9999) == pytest.approx(0.91)
    assert decay_at(10**7, decay=0.9999) == 0.9999


def test_the_average_follows_the_formula_and_forgets_the_first_weights() -> None:
    torch.manual_seed(0)
    model = DiT(input_size=4, patch_size=2, in_channels=1, hidden_size=16, depth=1, num_heads=2, num_classes=2)
    weight = model.blocks[0].mlp.fc1.weight
    ema, expected = Ema(model, decay=0.9999), weight.detach().clone()
    first = expected.clone()
    for update in range(1, 101):
        with torch.no_grad():
            weight.add_(0.01 * torch.randn_like(weight))
        ema.update(model)
        decay = decay_at(update, decay=0.9999)
        expected = decay * expected + (1 - decay) * weight.detach()
    averaged = ema.model.blocks[0].mlp.fc1.weight
    torch.testing.assert_close(averaged, expected)
    assert (averaged - weight).norm() < (averaged - first).norm()  # after a hundred steps it is near the newest
    assert not averaged.requires_grad
    assert not ema.model.training
    torch.testing.assert_close(ema.model.pos_embed, model.pos_embed)
