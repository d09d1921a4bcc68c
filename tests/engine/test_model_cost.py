"""What a model costs: the paper's figures, and what a step really takes."""

import threading
from typing import Any

import psutil
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from dit_studio.config import apply_settings, parse_recipe, recipe_to_tables
from dit_studio.engine.checkpoint import ModelDescription
from dit_studio.engine.device_plan import PROCESS_BYTES
from dit_studio.engine.model_cost import count_parameters, describe_model, model_cost, walk
from dit_studio.engine.paper_rows import paper_row
from dit_studio.model_settings import PRESETS, DiffusionConfig


def tables(*settings: str) -> dict[str, Any]:
    return recipe_to_tables(parse_recipe(apply_settings({}, settings)))


def of_the_paper(preset: str, **changes: Any) -> ModelDescription:
    """On 32×32×4 latents, as the paper's table 4 is for 256×256 pixels."""
    hidden, depth, heads, patch = PRESETS[preset]
    shared: dict[str, Any] = {
        "input_size": 32, "in_channels": 4, "patch_size": patch, "hidden_size": hidden, "depth": depth,
        "num_heads": heads, "mlp_ratio": 4.0, "class_dropout_prob": 0.1, "num_classes": 1, "learn_sigma": True,
        "diffusion": DiffusionConfig(),
    }  # fmt: skip
    return ModelDescription(**{**shared, **changes})


# ------------------------------------------------------------------------------------------------- the paper's figures


@pytest.mark.parametrize(
    ("preset", "block", "gflops", "millions"),
    [("S/2", "adaln-zero", 6.06, 33), ("S/4", "adaln-zero", 1.41, 33), ("S/8", "adaln-zero", 0.36, 33),
     ("B/2", "adaln-zero", 23.01, 130), ("B/4", "adaln-zero", 5.56, 130), ("B/8", "adaln-zero", 1.42, 131),
     ("L/2", "adaln-zero", 80.71, 458), ("L/4", "adaln-zero", 19.70, 458), ("L/8", "adaln-zero", 5.01, 459),
     ("XL/2", "adaln-zero", 118.64, 675), ("XL/4", "adaln-zero", 29.05, 675), ("XL/8", "adaln-zero", 7.39, 676),
     ("XL/2", "in-context", 119.37, 449), ("XL/2", "cross-attention", 137.62, 598), ("XL/2", "adaln", 118.56, 600)],
)  # fmt: skip
def test_the_counter_gives_the_papers_figures(preset: str, block: str, gflops: float, millions: int) -> None:
    """Peebles & Xie 2023, table 4 and figure 5, to every digit that they give."""
    description = of_the_paper(preset, block=block)
    assert round(walk(description).gflops, 2) == gflops
    assert round(count_parameters(description, 1000) / 1e6) == millions


def test_512_pixels_cost_what_the_paper_says() -> None:
    assert round(walk(of_the_paper("XL/2", input_size=64)).gflops, 1) == 524.6


@pytest.mark.parametrize("block", ["adaln-zero", "adaln", "cross-attention", "in-context"])
@pytest.mark.parametrize("attention", [{"attention": "full"}, {"attention": "grouped", "num_kv_heads": 2}])
def test_matrix_products_are_those_that_torch_counts(block: str, attention: dict[str, Any]) -> None:
    """torch's own counter sees the products alone, and those of the embedders too."""
    description = of_the_paper("S/4", block=block, **attention)
    with torch.device("meta"):
        model = description.build().to("meta")
        inputs = torch.empty(1, 4, 32, 32), torch.empty(1), torch.zeros(1, dtype=torch.long)
    with FlopCounterMode(display=False) as flops, torch.no_grad():
        model(*inputs)
    numbers = (64 + 2 * (block == "in-context")) * 384 * 12  # that go through the blocks
    by_themselves = 2 * numbers + numbers * (block == "adaln-zero")  # GELU on four times as many, two gates; half each
    once = 256 * 384 + 384**2 + (2 * 384**2 if "adaln" in block else 0)  # the time, and the last modulation
    expected = flops.get_total_flops() / 2 + by_themselves - once
    assert walk(description).gflops * 1e9 == pytest.approx(expected)


def test_a_window_costs_what_it_sees() -> None:
    full, window = (of_the_paper("S/2", input_size=64, attention=kind) for kind in ("full", "window"))
    along = [min(31, place + 3) - max(0, place - 3) + 1 for place in range(32)]
    seen = sum(rows * columns for rows in along for columns in along)
    assert (walk(full).gflops - walk(window).gflops) * 1e9 == pytest.approx(12 * 2 * (1024**2 - seen) * 384)


# ------------------------------------------------------------------------------------------------- rows


@pytest.mark.parametrize(
    ("preset", "changes", "row"),
    [("XL/2", {}, "DiT-XL/2"), ("S/8", {}, "DiT-S/8"), ("XL/2", {"block": "in-context"}, "DiT-XL/2 (in-context)"),
     ("XL/2", {"block": "adaln"}, "DiT-XL/2 (adaLN)"), ("XL/2", {"input_size": 64}, "DiT-XL/2 (512×512)"),
     ("XL/2", {"input_size": 64, "block": "adaln"}, "as DiT-XL/2 but with adaLN blocks and inputs of 64×64×4"),
     ("B/4", {"block": "cross-attention"}, "as DiT-B/4 but with cross-attention blocks"),
     ("B/4", {"attention": "window"}, "as DiT-B/4 but with window attention"),
     ("S/2", {"input_size": 8, "in_channels": 3}, "as DiT-S/2 but with inputs of 8×8×3"),
     ("L/2", {"rope": True, "norm": "rms", "mlp": "swiglu"}, "as DiT-L/2 but with RoPE, RMSNorm and SwiGLU"),
     ("L/2", {"rope": True, "norm": "rms", "mlp": "swiglu", "qk_norm": True}, ""),
     ("S/2", {"learn_sigma": False, "mlp_ratio": 3.0},
      "as DiT-S/2 but with an MLP 3 times as wide and no learned variance"),
     ("XXS/2", {}, ""), ("S/2", {"depth": 11}, "")],
)  # fmt: skip
def test_the_papers_row_is_named(preset: str, changes: dict[str, Any], row: str) -> None:
    assert paper_row(of_the_paper(preset, **changes)) == row


def test_a_vae_that_is_not_here_is_taken_for_the_usual_one() -> None:
    (summary,) = describe_model(
        tables("model.preset=XL/2", "data.image_size=256", "latents.vae=/nowhere/vae"), 1000
    )  # fmt: skip
    assert summary.tokens == 256
    assert summary.paper_row == "DiT-XL/2"
    assert round(summary.gflops, 2) == 118.64


# ------------------------------------------------------------------------------------------------- memory


@pytest.mark.parametrize(("preset", "classes"), [("XXS/2", 7), ("S/4", 0), ("B/8", 1000)])
def test_parameters_are_those_of_the_model_that_is_built(preset: str, classes: int) -> None:
    recipe = parse_recipe({"model": {"preset": preset}})
    names = tuple(str(number) for number in range(classes))
    with torch.device("meta"):
        model = ModelDescription.from_recipe(recipe, class_names=names).build()
    (summary,) = describe_model(recipe_to_tables(recipe), classes)
    assert summary.parameters == sum(tensor.numel() for tensor in model.parameters() if tensor.requires_grad)
    assert summary.tokens == model.pos_embed.shape[1]
    assert summary.gflops > 0


def test_what_makes_a_run_smaller_makes_the_estimate_smaller() -> None:
    whole = model_cost(parse_recipe(tables("model.preset=S/2", "train.precision=fp32")), 10).training_bytes
    for setting in ("train.batch_size=8", "train.accumulate=8", "train.gradient_checkpointing=true",
                    "train.precision=bf16", "model.preset=XS/2", "model.preset=S/4"):  # fmt: skip
        changed = model_cost(parse_recipe(tables("model.preset=S/2", "train.precision=fp32", setting)), 10)
        assert changed.training_bytes < whole, setting


def test_the_estimate_is_near_what_a_step_takes() -> None:
    """Peak memory of a real forward and backward pass, watched from outside."""
    recipe = parse_recipe(tables("model.preset=XS/2", "train.batch_size=64", "train.precision=fp32"))
    model = ModelDescription.from_recipe(recipe, class_names=("a", "b")).build()
    process, peak, is_over = psutil.Process(), [0], threading.Event()
    before = process.memory_info().rss

    def watch() -> None:
        while not is_over.wait(0.005):
            peak[0] = max(peak[0], process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    output = model(torch.randn(64, 3, 32, 32), torch.zeros(64), torch.zeros(64, dtype=torch.long))
    output.square().mean().backward()
    is_over.set()
    watcher.join()
    states = 3 * 4 * sum(tensor.numel() for tensor in model.parameters())  # moments and average, not made here
    estimate = model_cost(recipe, 2).training_bytes - PROCESS_BYTES - states
    assert 0.6 < estimate / (peak[0] - before) < 1.6


def test_drawing_takes_less_than_training_and_grows_with_the_batch() -> None:
    few, many, guided = (
        model_cost(parse_recipe(tables("model.preset=S/2", *settings)), 10)
        for settings in (["sample.per_class=1", "sample.cfg=1"], ["sample.per_class=4", "sample.cfg=1"],
                         ["sample.per_class=4", "sample.cfg=4"])
    )  # fmt: skip
    assert few.sampling_bytes < many.sampling_bytes < guided.sampling_bytes < few.training_bytes


def test_the_estimate_for_drawing_is_near_what_a_pass_takes() -> None:
    description = of_the_paper("S/2")
    model = description.build()
    x, t, y = torch.randn(8, 4, 32, 32), torch.zeros(8), torch.zeros(8, dtype=torch.long)
    with torch.no_grad(), torch.profiler.profile(profile_memory=True) as profiled:
        model(x, t, y)
    live, peak = 0, 0
    for event in profiled.profiler.kineto_results.events():
        if event.name() == "[memory]":
            live += event.nbytes()
            peak = max(peak, live)
    assert 0.8 < 8 * walk(description).live_bytes / peak < 1.25
