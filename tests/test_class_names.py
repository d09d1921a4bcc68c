"""ImageNet's class names: their order, that each is there once, and their synonyms."""

import tomllib
from pathlib import Path

import pytest

from dit_studio.class_names import are_imagenets, imagenet_names, other_names
from dit_studio.places import resources_dir


@pytest.mark.parametrize(
    ("number", "name"),
    [
        (0, "tench"),
        (1, "goldfish"),
        (88, "macaw"),
        (134, "crane (bird)"),
        (207, "golden retriever"),
        (281, "tabby"),
        (360, "otter"),
        (387, "lesser panda"),
        (388, "giant panda"),
        (417, "balloon"),
        (517, "crane (machine)"),
        (638, "maillot (tights)"),
        (639, "maillot (swimsuit)"),
        (974, "geyser"),
        (979, "valley"),
        (980, "volcano"),
        (999, "toilet tissue"),
    ],
)
def test_the_order_is_the_standard_one(number: int, name: str) -> None:
    assert imagenet_names()[number] == name


def test_every_class_has_a_name_of_its_own() -> None:
    names = imagenet_names()
    assert len(names) == len(set(names)) == 1000
    assert all(name and name == name.strip() and not set(name) & set(",\t/\\") for name in names)
    assert all(other and other == other.strip() for name in names for other in other_names(name))


def test_what_else_a_class_is_called() -> None:
    assert "red panda" in other_names("lesser panda")
    assert "toilet paper" in other_names("toilet tissue")
    assert other_names("crane (bird)") == other_names("crane (machine)") == ("crane",)
    assert other_names("a landscape of mine") == ()


def test_labels_of_others_are_known_as_imagenets() -> None:
    """The published pipelines carry each class's words in one text."""
    names = imagenet_names()
    labels = [", ".join((name, *other_names(name))) for name in names]
    labels[134] = labels[517] = "crane"
    labels[1] = "gold fish"
    assert are_imagenets(labels)
    assert are_imagenets(names)
    assert not are_imagenets(labels[:999])
    assert not are_imagenets(labels[::-1])
    assert not are_imagenets([f"class {number}" for number in range(1000)])


def test_the_file_says_where_the_names_come_from() -> None:
    head = (resources_dir() / "class_names" / "imagenet.txt").read_text(encoding="utf-8").split("\ntench")[0]
    assert all(line.startswith("#") for line in head.splitlines())
    assert "timm" in head
    assert "WordNet 3.0 Copyright 2006 by Princeton University" in head


def test_the_wheel_has_them() -> None:
    """Everything below `resources` is packed into the package."""
    project = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"] == {
        "resources": "dit_studio/resources"
    }
