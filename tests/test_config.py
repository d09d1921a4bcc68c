"""The schema: what is possible, what is named when it is not, and that files come back as they were."""

import tomllib
from pathlib import Path

import pytest

from dit_studio.config import (
    SECTIONS,
    Recipe,
    apply_settings,
    dump_recipe,
    fields_of,
    load_recipe,
    parse_recipe,
    resolve,
)
from dit_studio.errors import ConfigError
from dit_studio.fields import check_value
from dit_studio.model_settings import resolve_model, suitable_learning_rate
from dit_studio.places import resources_dir


def sentences(tables: dict[str, object]) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        parse_recipe(tables)
    return [problem.message for problem in raised.value.problems]


def test_every_field_says_what_it_means() -> None:
    for section in SECTIONS:
        for field in fields_of(section):
            assert field.description.endswith("."), field.key
            assert field.title, field.key
            assert field.range_text, field.key


def test_an_empty_recipe_is_possible_and_comes_back_from_toml() -> None:
    recipe = parse_recipe({})
    assert recipe == Recipe()
    again = parse_recipe(tomllib.loads(dump_recipe(recipe)))
    assert again.train == resolve(recipe).train
    assert again.model == resolve_model(recipe.model)


@pytest.mark.parametrize(
    ("tables", "sentence"),
    [
        ({"train": {"stepss": 1}}, "no setting train.stepss. Did you mean train.steps?"),
        ({"trian": {}}, "no setting trian. Did you mean train?"),
        ({"train": {"steps": 0}}, "train.steps = 0 is not possible: it takes a whole number from 1 to"),
        ({"train": {"steps": 1.5}}, "train.steps = 1.5 is not possible"),
        ({"train": {"learning_rate": float("nan")}}, "train.learning_rate = nan is not possible"),
        ({"train": {"learning_rate": float("inf")}}, "train.learning_rate = inf is not possible"),
        ({"train": {"compile": 3}}, "train.compile = 3 is not possible: it takes true or false"),
        ({"data": {"classes": "folder"}}, 'Did you mean "folders"?'),
        ({"model": {"preset": "S/3"}}, 'Did you mean "S/'),
        ({"model": 3}, "[model] is a table of settings"),
        ({"data": {"image_size": 9}}, "model.patch_size = 2 is not possible: it does not divide an image of 9 pixels"),
        ({"model": {"num_heads": 5}}, "it does not divide a width of 128; 4 would"),
        ({"model": {"hidden_size": 130, "num_heads": 2}}, "needs a multiple of 4, as 132 is"),
        ({"train": {"batch_size": 10, "accumulate": 4}}, "it does not divide a batch of 10; 2 would"),
        ({"diffusion": {"beta_start": 0.5}}, "diffusion.beta_end = 0.02 is not possible"),
        ({"diffusion": {"beta_start": 0.5, "beta_end": 0.9}}, "nothing of the image be left"),
        ({"data": {"path": "bad \udcff"}}, "its name is not UTF-8"),
        ({"sample": {"steps": 500}, "diffusion": {"timesteps": 100}}, "at most 100"),
    ],
)
def test_what_is_not_possible_is_named_with_a_remedy(tables: dict[str, object], sentence: str) -> None:
    assert any(sentence in found for found in sentences(tables)), sentences(tables)


def test_every_problem_is_listed_at_once() -> None:
    assert len(sentences({"train": {"steps": 0, "sed": 1}, "data": {"image_size": 1}, "x": {}})) == 4


def test_settings_are_laid_over_a_file(tmp_path: Path) -> None:
    file = tmp_path / "r.toml"
    file.write_text("[train]\nsteps = 5\nbatch_size = 4\n[model]\npreset = 'XS/4'\n")
    recipe = load_recipe(file, settings=["train.steps=9", "train.learning_rate = 3e-4", "train.compile=true"])
    assert (recipe.train.steps, recipe.train.batch_size) == (9, 4)
    assert recipe.train.learning_rate == 3e-4
    assert recipe.train.compile is True
    model = resolve_model(recipe.model)
    assert (model.hidden_size, model.depth, model.num_heads, model.patch_size) == (256, 8, 4, 4)


@pytest.mark.parametrize("setting", ["steps=3", "train.steps", "train.=3", "=", ""])
def test_a_setting_that_is_none_is_named(setting: str) -> None:
    with pytest.raises(ConfigError, match=r"write section\.key=value"):
        apply_settings({}, [setting])


@pytest.mark.parametrize(("text", "word"), [("a = [", "not valid TOML"), (None, "cannot be read")])
def test_a_recipe_that_cannot_be_read_is_named(tmp_path: Path, text: str | None, word: str) -> None:
    file = tmp_path / "r.toml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(ConfigError, match=word):
        load_recipe(file)


def test_data_beside_the_recipe_is_found(tmp_path: Path) -> None:
    (tmp_path / "bilder").mkdir()
    file = tmp_path / "r.toml"
    file.write_text("[data]\npath = 'bilder'\n")
    assert Path(load_recipe(file).data.path) == tmp_path / "bilder"


def test_text_is_read_as_the_field_asks() -> None:
    fields = {field.name: field for field in fields_of("train")}
    assert check_value(fields["steps"], "12") == 12
    assert check_value(fields["learning_rate"], "1e-3") == 1e-3
    with pytest.raises(ConfigError, match=r"'12\.5' is not possible"):
        check_value(fields["steps"], "12.5")


def test_the_learning_rate_suits_the_width() -> None:
    assert [suitable_learning_rate(width) for width in (128, 256, 384, 768, 1152, 4096)] == [
        2.7e-3, 9.5e-4, 5.2e-4, 1.8e-4, 1e-4, 1e-4,
    ]  # fmt: skip
    assert resolve(parse_recipe({"model": {"preset": "S/2"}})).train.learning_rate == 5.2e-4
    assert resolve(parse_recipe({"train": {"learning_rate": 0.01}})).train.learning_rate == 0.01


def test_every_recipe_of_the_resources_is_possible_and_says_what_it_is_for() -> None:
    files = sorted((resources_dir() / "recipes").glob("*.toml"))
    assert files
    for file in files:
        assert len(load_recipe(file).about) > 20, file


def test_objectives_go_with_their_samplers_and_variance() -> None:
    plain = {"model": {"learn_sigma": False}, "diffusion": {"objective": "flow"}, "sample": {"sampler": "flow-euler"}}
    assert parse_recipe(plain).diffusion.objective == "flow"
    with pytest.raises(ConfigError) as caught:
        parse_recipe({"diffusion": {"objective": "flow"}})
    assert [problem.field for problem in caught.value.problems] == ["model.learn_sigma", "sample.sampler"]
    with pytest.raises(ConfigError, match="any but this"):
        parse_recipe({"sample": {"sampler": "flow-euler"}})
