"""Training that starts from another model: what it takes over, what it makes anew, and what it refuses."""

import shutil
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
import torch

from dit_studio import cli
from dit_studio.config import Recipe, load_recipe, parse_recipe, recipe_to_tables
from dit_studio.engine import training
from dit_studio.engine.checkpoint import LatentSpace, LoadedModel, ModelDescription, load_model, write_weights
from dit_studio.engine.fine_tune import describe_start, preflight_line, start_from
from dit_studio.engine.interop import open_model
from dit_studio.engine.model import DiT, sincos_position_embedding
from dit_studio.errors import CheckpointError, ConfigError, RunError
from dit_studio.events import CheckStatus, Command, Event, Metrics, Notice, Validation
from dit_studio.model_settings import DiffusionConfig
from dit_studio.start_model import load_recipe_and_start, recipe_from_start, start_problems
from tests.engine.foreign_models import LIKELY, published_state, training_checkpoint, write_pipeline
from tests.pictures import write_pictures

TABLE = "y_embedder.embedding_table.weight"
NAMES = ("cat", "dog", "tench, Tinca tinca", "crane, bird", "crane, machine")
TINY: dict[str, Any] = {
    "data": {"image_size": 8, "validation_fraction": 0.2},
    "model": {"hidden_size": 32, "depth": 2, "num_heads": 4, "patch_size": 4, "learn_sigma": False},
    "train": {"steps": 40, "batch_size": 8, "warmup_steps": 2, "checkpoint_every": 0, "preview_every": 0,
              "validate_every": 20, "learning_rate": 2e-3, "keep_checkpoints": 0},
    "sample": {"steps": 3},
}  # fmt: skip


def describe(**changes: Any) -> ModelDescription:
    numbers: dict[str, Any] = {
        "input_size": 8, "patch_size": 2, "in_channels": 3, "hidden_size": 32, "depth": 2, "num_heads": 2,
        "mlp_ratio": 4.0, "class_dropout_prob": 0.1, "num_classes": len(NAMES), "learn_sigma": True,
        "class_names": NAMES, "diffusion": DiffusionConfig(), "step": 700, "weights": "ema",
    }  # fmt: skip
    return ModelDescription(**numbers | changes)


def random_model(description: ModelDescription, *, seed: int = 0) -> DiT:
    torch.manual_seed(seed)
    model = description.build()
    for parameter in model.parameters():
        if parameter.requires_grad:
            torch.nn.init.normal_(parameter, std=0.2)
    return model.eval()


@pytest.fixture
def start(tmp_path: Path) -> LoadedModel:
    """A random model in a file, with five classes and a row for none."""
    return write_start(tmp_path / "start.safetensors", describe())


def write_start(file: Path, description: ModelDescription) -> LoadedModel:
    model = random_model(description)
    write_weights(file, model, description)
    return LoadedModel(model=model, config=description, path=file)


def fine_tuned(start: LoadedModel, **changes: Any) -> tuple[DiT, DiT, Notice]:
    description = msgspec.structs.replace(start.config, **changes)
    model, averaged = (random_model(description, seed=seed) for seed in (1, 2))
    notice = start_from(model, averaged, description, start.path)
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(averaged.state_dict()[name], tensor, rtol=0, atol=0)
    return model, averaged, notice


def same_weights_but(one: DiT, other: DiT, *names: str) -> None:
    theirs = other.state_dict()
    for name, tensor in one.state_dict().items():
        if name not in names:
            assert torch.equal(tensor, theirs[name]), name


def test_a_guessed_vae_gives_way_to_the_one_that_was_chosen(tmp_path: Path) -> None:
    file = tmp_path / "DiT-XL-2-256x256.pt"
    torch.save(published_state(), file)
    list(open_model(str(file), {"num_heads": "2", "null_class": "yes", "vae": LIKELY["vae"]}))
    told = describe_start(file)
    assert told["latents"]["is_likely"]
    chosen = parse_recipe({"latents": {"vae": "my/vae", "scale": 0.5}})
    assert recipe_from_start(chosen, told).latents == chosen.latents
    assert recipe_from_start(Recipe(), told).latents.vae == LIKELY["vae"], "better than none"
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(f'[train]\nstart_from = "{file.as_posix()}"\n[latents]\nvae = "my/vae"\n')
    loaded = load_recipe_and_start(recipe, describe=describe_start)
    assert (loaded.latents.vae, loaded.latents.scale, loaded.latents.shift) == ("my/vae", None, None)
    assert not list(start_problems(msgspec.structs.replace(loaded, latents=chosen.latents), told))
    start = load_model(file)
    mine = LatentSpace(vae="my/vae", factor=2, scale=0.5, shift=0.1)
    assert "kept" in fine_tuned(start, latents=mine, class_names=("a", "b", "c"))[2].message
    told["latents"]["is_likely"] = False
    assert recipe_from_start(chosen, told).latents.vae == LIKELY["vae"]
    with pytest.raises(RunError, match="was trained on channels = 4, and this run has 8"):
        fine_tuned(start, latents=msgspec.structs.replace(mine, channels=8), in_channels=8)


def test_min_snr_is_refused_of_a_flow_that_training_starts_from(tmp_path: Path) -> None:
    flow = describe(learn_sigma=False, diffusion=DiffusionConfig(objective="flow"))
    write_start(tmp_path / "flow.safetensors", flow)
    (tmp_path / "recipe.toml").write_text(
        '[train]\nstart_from = "flow.safetensors"\n[diffusion]\nloss_weight = "min-snr"\n'
    )
    with pytest.raises(ConfigError, match="min-snr is not possible"):
        load_recipe_and_start(tmp_path / "recipe.toml", describe=describe_start)
    recipe = recipe_from_start(Recipe(), describe_start(tmp_path / "flow.safetensors"))
    both = msgspec.structs.replace(recipe.diffusion, loss_weight="min-snr")
    problems = start_problems(msgspec.structs.replace(recipe, diffusion=both), msgspec.to_builtins(flow))
    assert [problem.field for problem in problems] == ["diffusion.loss_weight"]


# ------------------------------------------------------------------------------------------------- weights


def test_the_same_classes_at_the_same_size_are_the_same_model(start: LoadedModel) -> None:
    model, _, notice = fine_tuned(start)
    same_weights_but(model, start.model)
    assert "start · step 700 · EMA" in notice.message
    x, t, y = torch.randn(2, 3, 8, 8), torch.tensor([10, 900]), torch.tensor([1, 5])
    torch.testing.assert_close(model(x, t, y), start.model(x, t, y), rtol=0, atol=0)


def test_rows_are_kept_by_name_and_new_classes_begin_as_no_class(start: LoadedModel) -> None:
    names = ("Dog", "tinca_tinca", "crane", "zebra", "CRANE, machine")
    model, _, notice = fine_tuned(start, class_names=names, num_classes=5)
    theirs, table = start.model.state_dict()[TABLE], model.state_dict()[TABLE]
    null = theirs[5]
    for row, expected in enumerate((theirs[1], theirs[2], null, null, theirs[4], null)):
        assert torch.equal(table[row], expected), row
    same_weights_but(model, start.model, TABLE)
    assert "Of 5 classes 3 are kept by name (Dog, tinca_tinca, CRANE, machine); 2 are new" in notice.message


def test_new_classes_are_drawn_as_no_class_at_first(start: LoadedModel) -> None:
    model, _, _ = fine_tuned(start, class_names=("zebra", "lion"), num_classes=2)
    x, t = torch.randn(1, 3, 8, 8), torch.tensor([300])
    expected = start.model(x, t, torch.tensor([5]))
    for label in (0, 1, 2):
        torch.testing.assert_close(model(x, t, torch.tensor([label])), expected, rtol=0, atol=0)


def test_without_a_null_row_new_classes_begin_as_the_mean(tmp_path: Path) -> None:
    start = write_start(tmp_path / "start.safetensors", describe(class_dropout_prob=0.0))
    model, _, notice = fine_tuned(start, class_names=("dog", "zebra"), num_classes=2, class_dropout_prob=0.1)
    theirs, table = start.model.state_dict()[TABLE], model.state_dict()[TABLE]
    assert torch.equal(table[0], theirs[1])
    for row in (1, 2):
        torch.testing.assert_close(table[row], theirs.mean(dim=0))
    assert "the mean of its classes" in notice.message


def test_classes_are_dropped_and_added(start: LoadedModel, tmp_path: Path) -> None:
    without, _, _ = fine_tuned(start, class_names=(), num_classes=1, class_dropout_prob=0.0)
    assert torch.equal(without.state_dict()[TABLE], start.model.state_dict()[TABLE][5:])
    config = msgspec.structs.replace(start.config, class_names=(), num_classes=1, class_dropout_prob=0.0)
    write_weights(tmp_path / "without.safetensors", without, config)
    again = LoadedModel(model=without, config=config, path=tmp_path / "without.safetensors")
    back, _, _ = fine_tuned(again, class_names=("a", "b"), num_classes=2, class_dropout_prob=0.1)
    for row in range(3):
        assert torch.equal(back.state_dict()[TABLE][row], without.state_dict()[TABLE][0])


def test_classes_without_names_are_kept_in_their_order_where_the_count_is_the_same(tmp_path: Path) -> None:
    start = write_start(tmp_path / "start.safetensors", describe(class_names=()))
    same, _, notice = fine_tuned(start, class_names=tuple("abcde"))
    assert torch.equal(same.state_dict()[TABLE], start.model.state_dict()[TABLE])
    assert "kept in their order" in notice.message
    other, _, notice = fine_tuned(start, class_names=tuple("abcd"), num_classes=4)
    assert torch.equal(other.state_dict()[TABLE], start.model.state_dict()[TABLE][5].expand(5, -1))
    assert "All 4 classes are new to it" in notice.message


def test_another_resolution_gets_the_embedding_of_its_own_grid(start: LoadedModel) -> None:
    model, _, notice = fine_tuned(start, input_size=16)
    assert torch.equal(model.pos_embed, sincos_position_embedding(32, grid_size=8))
    same_weights_but(model, start.model, "pos_embed")
    assert "made anew for 8×8 patches; it knew 4×4" in notice.message
    assert model(torch.randn(1, 3, 16, 16), torch.tensor([3]), torch.tensor([0])).shape == (1, 6, 16, 16)


def test_a_learned_position_embedding_is_interpolated(tmp_path: Path) -> None:
    start = write_start(tmp_path / "start.safetensors", describe(position="learned"))
    rows = torch.linspace(-1, 1, 4)[:, None].expand(4, 4)
    with torch.no_grad():
        start.model.pos_embed.copy_(rows.reshape(1, 16, 1).expand(1, 16, 32))
    write_weights(start.path, start.model, start.config)
    model, _, notice = fine_tuned(start, input_size=16)
    same_weights_but(model, start.model, "pos_embed")
    assert "learned position embedding was interpolated to 8×8 patches; it knew 4×4" in notice.message
    finer = model.pos_embed.reshape(8, 8, 32)
    torch.testing.assert_close(finer, finer[:, :1].expand(8, 8, 32))  # a slope from row to row stays one
    assert (finer[1:, 0] > finer[:-1, 0]).all()
    torch.testing.assert_close(finer[2:6, 0, 0], torch.tensor([-0.5, -1 / 6, 1 / 6, 0.5]), atol=0.1, rtol=0)
    same, _, _ = fine_tuned(start)
    same_weights_but(same, start.model)


@pytest.mark.parametrize(
    "kind",
    [
        {"block": "in-context", "attention": "grouped", "num_kv_heads": 1},
        {"block": "cross-attention", "attention": "window", "window": 3},
        {"rope": True, "qk_norm": True, "norm": "rms", "mlp": "swiglu", "dialect": "diffusers"},
        {"time": "sit", "diffusion": DiffusionConfig(objective="flow"), "learn_sigma": False},
    ],
)
def test_every_kind_of_model_is_gone_on_with(kind: dict[str, Any], tmp_path: Path) -> None:
    start = write_start(tmp_path / "start.safetensors", describe(**kind))
    recipe = recipe_from_start(Recipe(), describe_start(start.path))
    assert not list(start_problems(recipe, describe_start(start.path)))
    wanted = ModelDescription.from_recipe(recipe, class_names=NAMES)
    assert msgspec.structs.replace(wanted, step=700, weights="ema") == start.config
    model = wanted.build().eval()
    start_from(model, wanted.build(), wanted, start.path)
    x, t, y = torch.randn(2, 3, 8, 8), torch.tensor([10, 900]), torch.tensor([1, 5])
    torch.testing.assert_close(model(x, t, y), start.model(x, t, y), rtol=0, atol=0)
    fine_tuned(start, input_size=16)


# ------------------------------------------------------------------------------------------------- bad start models


def test_a_start_model_with_nan_is_refused(tmp_path: Path) -> None:
    description = describe()
    model = random_model(description)
    with torch.no_grad():
        model.blocks[1].attn.qkv.weight[3, 4] = torch.nan  # type: ignore[union-attr, operator]
    write_weights(tmp_path / "start.safetensors", model, description)
    with pytest.raises(CheckpointError, match=r"holds blocks\.1\.attn\.qkv\.weight with NaN"):
        start_from(model, model, description, tmp_path / "start.safetensors")


def test_a_start_model_of_other_channels_is_refused(start: LoadedModel) -> None:
    with pytest.raises(RunError, match="trained on channels = 3, and this run has 1"):
        fine_tuned(start, in_channels=1)


def test_latents_of_another_scale_are_refused_and_another_vae_is_named(tmp_path: Path) -> None:
    space = LatentSpace(vae="some/vae", digest="a", factor=2, channels=4, scale=0.2)
    start = write_start(tmp_path / "start.safetensors", describe(in_channels=4, latents=space))
    with pytest.raises(RunError, match=r"trained on latent scale = 0\.2, and this run has 0\.3"):
        fine_tuned(start, latents=msgspec.structs.replace(space, scale=0.3))
    _, _, notice = fine_tuned(start, latents=msgspec.structs.replace(space, vae="another/vae", digest="b"))
    assert notice.message.endswith("It was trained on latents of another VAE, some/vae.")
    _, _, notice = fine_tuned(start, latents=msgspec.structs.replace(space, vae="/moved/vae"))
    assert "VAE" not in notice.message


def test_a_start_model_of_another_shape_is_refused(start: LoadedModel) -> None:
    with pytest.raises(RunError, match=r"holds x_embedder\.proj\.weight as .*, and the model to train takes"):
        fine_tuned(start, patch_size=4)


# ------------------------------------------------------------------------------------------------- the recipe


def test_the_recipe_takes_the_models_own_numbers() -> None:
    diffusion = DiffusionConfig(objective="v", schedule="cosine", timesteps=40)
    recipe = recipe_from_start(Recipe(), msgspec.to_builtins(describe(diffusion=diffusion, learn_sigma=False)))
    model = recipe.model
    assert (model.hidden_size, model.depth, model.num_heads, model.patch_size) == (32, 2, 2, 2)
    assert (recipe.data.image_size, recipe.data.color, recipe.sample.steps) == (8, "rgb", 40)
    assert (model.learn_sigma, recipe.diffusion) == (False, diffusion)
    assert not list(
        start_problems(recipe, msgspec.json.encode(describe(diffusion=diffusion, learn_sigma=False)).decode())
    )
    assert parse_recipe(recipe_to_tables(recipe)) == recipe


def test_a_preset_is_known_by_its_name_and_a_flow_gets_its_sampler() -> None:
    flow = describe(
        hidden_size=384, depth=12, num_heads=6, diffusion=DiffusionConfig(objective="flow"), learn_sigma=False
    )
    recipe = recipe_from_start(Recipe(), msgspec.to_builtins(flow))
    assert (recipe.model.preset, recipe.model.hidden_size, recipe.sample.sampler) == ("S/2", None, "flow-euler")
    assert recipe_from_start(recipe, msgspec.to_builtins(describe())).sample.sampler == "ddim"


def test_latents_are_those_of_the_start_model() -> None:
    latents = {"vae": "some/vae", "factor": 8, "channels": 4, "scale": 0.2, "shift": 0.1}
    start = msgspec.to_builtins(describe(in_channels=4, input_size=32)) | {"latents": latents}
    recipe = recipe_from_start(Recipe(), start)
    assert (recipe.data.image_size, recipe.latents.vae, recipe.latents.scale) == (256, "some/vae", 0.2)
    assert not list(start_problems(recipe, start))
    (problem,) = start_problems(msgspec.structs.replace(recipe, latents=Recipe().latents), start)
    assert problem.message == (
        "latents.vae = '' is not possible: the start model lives in the latents of some/vae; leave it out."
    )
    (problem,) = start_problems(recipe, msgspec.to_builtins(describe()) | {"diffusion": start["diffusion"]})
    assert problem.field == "latents.vae"
    pixels = msgspec.structs.replace(recipe, latents=Recipe().latents)
    (problem,) = start_problems(pixels, start | {"latents": None})
    assert "4 channels, which are no pixels" in problem.message


@pytest.fixture
def recipe_file(tmp_path: Path, start: LoadedModel) -> Path:
    """A recipe that starts from the model beside it, and says nothing else of it."""
    pictures = write_pictures(tmp_path / "pictures")
    file = tmp_path / "recipe.toml"
    file.write_text(f'[data]\npath = "{pictures}"\n[train]\nsteps = 2\nstart_from = "{start.path.name}"\n')
    return file


def load(file: Path, *settings: str) -> Recipe:
    return load_recipe_and_start(file, settings=settings, describe=describe_start)


def test_what_a_recipe_leaves_out_is_as_in_the_start_model(recipe_file: Path, start: LoadedModel) -> None:
    recipe = load(recipe_file, "data.image_size=16")
    assert recipe.train.start_from == str(start.path.absolute())
    assert (recipe.model.hidden_size, recipe.data.image_size, recipe.train.steps) == (32, 16, 2)
    assert load(recipe_file, "train.start_from=") == load_recipe(recipe_file, settings=["train.start_from="])


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("model.depth=3", "model.depth = 3 is not possible: the model that it starts from has 2; leave it out, or"),
        (
            "model.preset=S/2",
            "model.preset = S/2 (hidden_size 384, depth 12, num_heads 6) is not possible: the model that it starts "
            "from has hidden_size 32, depth 2, num_heads 2; leave it out",
        ),
        (
            "model.learn_sigma=false",
            "model.learn_sigma = false is not possible: the model that it starts from has true",
        ),
        ("model.block=adaln", "model.block = adaln is not possible: the model that it starts from has adaln-zero"),
        ("model.dialect=diffusers", "the model that it starts from has facebook"),
        ("diffusion.objective=flow", "diffusion.objective = flow is not possible: the model that it starts from has e"),
        ("diffusion.beta_end=0.03", "the model that it starts from has 0.02"),
        ("data.color=grey", "data.color = grey is not possible: the model that it starts from has rgb"),
        ("latents.vae=some/vae", "the start model was trained on pixels; leave it empty."),
    ],
)
def test_what_a_recipe_says_otherwise_is_named_with_both_values(recipe_file: Path, setting: str, message: str) -> None:
    with pytest.raises(ConfigError) as failure:
        load(recipe_file, setting)
    assert message in str(failure.value)
    assert failure.value.problems[0].field == setting.partition("=")[0]


def test_what_means_nothing_in_this_model_may_be_said(recipe_file: Path) -> None:
    assert load(recipe_file, "model.window=9", "diffusion.loss_weight=min-snr").diffusion.loss_weight == "min-snr"


def test_a_start_model_that_is_missing_or_damaged_is_named_before_the_start(
    recipe_file: Path, start: LoadedModel
) -> None:
    recipe = load(recipe_file)
    line = preflight_line(recipe, ["dog", "zebra"])
    assert line.status is CheckStatus.OK
    assert "Of 2 classes 1 are kept by name (dog); 1 are new" in line.message
    start.path.write_bytes(start.path.read_bytes()[:-1000])
    assert "truncated, damaged" in preflight_line(recipe, []).message
    start.path.unlink()
    line = preflight_line(recipe, [])
    assert line.status is CheckStatus.FAILED
    assert line.remedy
    with pytest.raises(CheckpointError, match=r"There is no model at .*start\.safetensors"):
        load(recipe_file)


# ------------------------------------------------------------------------------------------------- runs


def run(recipe: Recipe | dict[str, Any], folder: Path, *, stop_after: int = -1, resume: bool = False) -> list[Event]:
    """The events of a run; stopped after so many steps."""
    folder.mkdir(exist_ok=True)
    events: list[Event] = []

    def next_command(_: bool) -> Command | None:
        return Command.STOP if len(losses(events)) == stop_after else None

    tables = recipe if isinstance(recipe, dict) else recipe_to_tables(recipe)
    events.extend(training.train(recipe=tables, folder=str(folder), next_command=next_command, resume=resume))
    return events


class FirstRun(NamedTuple):
    """Forty steps on pictures of three classes."""

    folder: Path
    pictures: Path
    losses: list[float]
    validation: float  # at the end, of the averaged weights


@pytest.fixture(scope="module")
def first_run(tmp_path_factory: pytest.TempPathFactory) -> FirstRun:
    place = tmp_path_factory.mktemp("first")
    pictures = write_pictures(place / "pictures")
    events = run(TINY | {"data": TINY["data"] | {"path": str(pictures)}}, place / "run")
    return FirstRun(place / "run", pictures, losses(events), validations(events)[-1])


def tuning(first: FirstRun, tmp_path: Path, *settings: str) -> Recipe:
    file = tmp_path / "tune.toml"
    file.write_text("[train]\nsteps = 6\nbatch_size = 8\npreview_every = 0\ncheckpoint_every = 0\nvalidate_every = 1\n")
    data = (f"data.path={first.pictures}", "data.validation_fraction=0.2", f"train.start_from={first.folder}")
    return load(file, *data, *settings)


def test_fine_tuning_begins_where_the_first_run_ended(first_run: FirstRun, tmp_path: Path) -> None:
    """At a learning rate of next to nothing a step measures the start model."""
    recipe = tuning(first_run, tmp_path, "train.learning_rate=1e-12", "train.steps=12")
    events = run(recipe, tmp_path / "tuned")
    assert "Of 3 classes 3 are kept by name" in next(event.message for event in events if isinstance(event, Notice))
    assert validations(events)[0] == pytest.approx(first_run.validation, rel=1e-5)
    begun, ended = sum(losses(events)) / 12, sum(first_run.losses[-12:]) / 12
    assert begun < 1.25 * ended < 0.8 * sum(first_run.losses[:4]) / 4
    ours, theirs = (load_model(folder).model.state_dict() for folder in (tmp_path / "tuned", first_run.folder))
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-7)


def test_other_classes_at_another_size_are_learned_from_there(first_run: FirstRun, tmp_path: Path) -> None:
    pictures = write_pictures(tmp_path / "pictures", classes=5, seed=3)
    settings = (f"data.path={pictures}", "data.image_size=16", "train.learning_rate=2e-3")
    events = run(tuning(first_run, tmp_path, *settings), tmp_path / "tuned")
    (notice,) = [event.message for event in events if isinstance(event, Notice)]
    assert "Of 5 classes 3 are kept by name (class 0, class 1, class 2); 2 are new" in notice
    assert "made anew for 4×4 patches; it knew 2×2" in notice
    tuned = load_model(tmp_path / "tuned")
    assert (tuned.config.num_classes, tuned.config.input_size, tuned.config.step) == (5, 16, 6)
    assert losses(events)[0] < 0.8 * first_run.losses[0]


def test_a_fine_tuned_run_resumes_bit_for_bit_without_its_start_model(first_run: FirstRun, tmp_path: Path) -> None:
    copy = shutil.copytree(first_run.folder, tmp_path / "start")
    recipe = tuning(first_run, tmp_path, f"train.start_from={copy}")
    whole = losses(run(recipe, tmp_path / "whole"))
    before = losses(run(recipe, tmp_path / "stopped", stop_after=3))
    shutil.rmtree(copy)
    after = losses(run(recipe, tmp_path / "stopped", resume=True))
    assert [*before, *after] == whole
    assert len(before) == len(after) == 3
    ours, theirs = (load_model(tmp_path / name).model.state_dict() for name in ("stopped", "whole"))
    torch.testing.assert_close(ours, theirs, rtol=0, atol=0)


def test_a_run_that_was_stopped_before_it_saved_starts_from_its_model_again(
    first_run: FirstRun, tmp_path: Path
) -> None:
    recipe = tuning(first_run, tmp_path)
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    resumed = run(recipe, tmp_path / "run", resume=True)
    assert losses(resumed) == losses(run(recipe, tmp_path / "new"))


def test_a_run_whose_recipe_contradicts_its_start_model_does_not_start(first_run: FirstRun, tmp_path: Path) -> None:
    tables = recipe_to_tables(tuning(first_run, tmp_path))
    tables["model"] |= {"depth": 3}
    with pytest.raises(ConfigError, match=r"model\.depth = 3 is not possible: the model that it starts from has 2"):
        run(tables, tmp_path / "run")


def test_the_command_line_starts_from_a_model(first_run: FirstRun, tmp_path: Path) -> None:
    recipe = tmp_path / "tune.toml"
    recipe.write_text("[train]\nsteps = 2\nbatch_size = 8\n[sample]\nsteps = 2\n")
    words = ["train", str(recipe), "--data", str(first_run.pictures), "--out", str(tmp_path / "run")]
    assert cli.main([*words, "--set", f"train.start_from={first_run.folder}"]) == 0
    written = load_recipe(tmp_path / "run" / "run.toml")
    assert (written.model.depth, written.data.image_size, written.model.learn_sigma) == (2, 8, False)
    assert written.train.start_from == str(first_run.folder)
    assert cli.main([*words, "--set", f"train.start_from={first_run.folder}", "--set", "model.depth=3"]) == 2
    assert cli.main([*words, "--set", f"train.start_from={tmp_path / 'nothing'}"]) == 1
    assert cli.main(["train", "--resume", str(tmp_path / "run"), "--set", "train.start_from=another"]) == 2


# ------------------------------------------------------------------------------------------------- everyone's models


def test_a_diffusers_pipeline_is_tuned_in_the_latents_of_its_own_vae(tmp_path: Path) -> None:
    write_pipeline(tmp_path / "pipeline", classes=3)
    pictures = write_pictures(tmp_path / "pictures", size=16)
    file = tmp_path / "tune.toml"
    file.write_text("[train]\nsteps = 2\nbatch_size = 8\nlearning_rate = 1e-12\n[sample]\nsteps = 2\n")
    words = ["train", str(file), "--data", str(pictures), "--out", str(tmp_path / "run")]
    assert cli.main([*words, "--set", f"train.start_from={tmp_path / 'pipeline'}"]) == 0
    tuned, theirs = load_model(tmp_path / "run"), load_model(tmp_path / "pipeline")
    assert tuned.config.latents is not None
    assert (tuned.config.dialect, tuned.config.input_size, tuned.config.image_size) == ("diffusers", 8, 16)
    ours = tuned.model.state_dict()
    for name, tensor in theirs.model.state_dict().items():
        if name != TABLE:
            torch.testing.assert_close(ours[name], tensor, rtol=0, atol=1e-7)
    null = theirs.model.state_dict()[TABLE][3]
    torch.testing.assert_close(ours[TABLE], null.expand(4, -1), rtol=0, atol=1e-7)


def test_a_published_training_checkpoint_is_started_from_by_its_average(tmp_path: Path) -> None:
    checkpoint = training_checkpoint()
    torch.save(checkpoint, tmp_path / "0050000.pt")
    for _ in open_model(str(tmp_path / "0050000.pt"), LIKELY):
        pass
    loaded = load_model(tmp_path / "0050000.pt")
    wanted = msgspec.structs.replace(loaded.config, class_names=("a", "b", "c"))
    model = wanted.build().eval()
    notice = start_from(model, wanted.build(), wanted, tmp_path / "0050000.pt")
    assert notice.message.startswith("Training starts from 0050000.pt: ")
    assert "Its 3 classes have no names and are kept in their order" in notice.message
    for name, tensor in checkpoint["ema"].items():
        torch.testing.assert_close(model.state_dict()[name], tensor, rtol=0, atol=0)


def losses(events: list[Event]) -> list[float]:
    return [event.loss for event in events if isinstance(event, Metrics) and event.loss is not None]


def validations(events: list[Event]) -> list[float]:
    return [event.loss for event in events if isinstance(event, Validation) and event.loss is not None]
