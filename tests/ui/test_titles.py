"""Settings called by their titles."""

import pytest

from dit_studio.ui.titles import with_titles


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("clip gradients (train.clip_grad_norm), or", "clip gradients, or"),
        ("train.clip_grad_norm = 1", "Gradient clipping = 1"),
        ("Raise train.steps.", "Raise Steps."),
        ("Did you mean model.hidden_size?", "Did you mean Width?"),
        ("There is no setting train.stepps.", "There is no setting train.stepps."),
        ("dit-studio train --resume RUN --set train.steps=N", "dit-studio train --resume RUN --set train.steps=N"),
        ("/home/me/data.path cannot be read.", "/home/me/data.path cannot be read."),
    ],
)
def test_a_known_setting_is_called_by_its_title(text: str, said: str) -> None:
    assert with_titles(text) == said
