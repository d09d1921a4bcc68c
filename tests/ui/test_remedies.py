"""What the buttons of a failure change."""

import pytest

from dit_studio.config import Recipe, parse_recipe, recipe_to_tables
from dit_studio.events import Failure
from dit_studio.ui.train.remedies import actions_for, change_for, with_numbers


def tables(**settings: dict[str, object]) -> dict[str, dict[str, object]]:
    full = {name: table for name, table in recipe_to_tables(Recipe()).items() if isinstance(table, dict)}
    return {name: table | settings.get(name, {}) for name, table in full.items()}


@pytest.mark.parametrize(
    ("key", "before", "values"),
    [
        ("smaller_batch", {"train": {"batch_size": 64}}, {"train": {"batch_size": 32}}),
        (
            "smaller_batch",
            {"train": {"batch_size": 6, "accumulate": 2}},
            {"train": {"batch_size": 3, "accumulate": 1}},
        ),
        ("smaller_batch", {"train": {"batch_size": 1}}, {}),
        ("gradient_checkpointing", {}, {"train": {"gradient_checkpointing": True}}),
        ("gradient_checkpointing", {"train": {"gradient_checkpointing": True}}, {}),
        (
            "smaller_model",
            {"model": {"preset": "B/4", "depth": 3}},
            {"model": {"preset": "S/4", "hidden_size": None, "depth": None, "num_heads": None}},
        ),
        ("smaller_model", {"model": {"preset": "XXS/8"}}, {}),
        ("lower_rate", {"train": {"learning_rate": 3e-4}}, {"train": {"learning_rate": 1e-4}}),
        ("float32", {"train": {"precision": "bf16"}}, {"train": {"precision": "fp32"}}),
        ("float32", {"train": {"precision": "fp32"}}, {}),
    ],
)
def test_a_remedy_changes_what_it_says(key: str, before: dict[str, dict[str, object]], values: object) -> None:
    change = change_for(key, tables(**before))
    assert change is not None
    assert change.values == values
    assert change.message.endswith(".")
    changed = {name: table | change.values.get(name, {}) for name, table in tables(**before).items()}
    parse_recipe(changed)


def test_the_buttons_of_a_failure() -> None:
    full = Failure(message="", code="out_of_memory")
    keys = [key for key, _ in actions_for(full, tables(model={"preset": "S/2"}), can_resume=False)]
    assert keys == ["smaller_batch", "gradient_checkpointing", "smaller_model"]
    assert [key for key, _ in actions_for(Failure(message="", code="killed"), tables(), can_resume=True)] == ["resume"]
    assert actions_for(Failure(message=""), tables(), can_resume=False) == []
    assert change_for("resume", tables()) is None


def test_only_what_helps_is_offered() -> None:
    least = tables(train={"batch_size": 1, "gradient_checkpointing": True, "precision": "fp32"})
    assert actions_for(Failure(message="", code="out_of_memory"), least, can_resume=False) == []
    keys = [key for key, _ in actions_for(Failure(message="", code="not_finite"), least, can_resume=False)]
    assert keys == ["lower_rate"]
    assert actions_for(Failure(message="", code="disk_full"), least, can_resume=False) == [
        ("open_folder", "Open the folder")
    ]


def test_numbers_are_told_in_words() -> None:
    failure = Failure(message="No.", remedy="Less.", numbers={"needed_bytes": 12.34e9, "batch_size": 64})
    assert with_numbers(failure).remedy == "needed: 12.34 GB · batch size: 64\nLess."
    assert with_numbers(Failure(message="No.")).remedy == ""
