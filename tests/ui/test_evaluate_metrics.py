"""The metrics card: what features serve, what is greyed and why, model files, N and the rest."""

import pytest
from evaluate_setup_scenes import model_files, reference
from PySide6.QtCore import QSignalBlocker
from pytestqt.qtbot import QtBot
from test_evaluate_set_up import press, type_into, visible_text

from dit_studio.evaluation_metrics import metrics_of
from dit_studio.evaluation_request import METRICS, EvaluationRequest
from dit_studio.ui.evaluate.metric_words import EXTRACTORS, GROUPS, TOOLTIPS
from dit_studio.ui.evaluate.metrics_card import MetricsCard


@pytest.fixture
def card(qtbot: QtBot) -> MetricsCard:
    result = MetricsCard()
    qtbot.addWidget(result)
    result.resize(320, 700)
    result.show()
    return result


def choose(card: MetricsCard, extractor: str) -> None:
    card.extractor.setCurrentIndex(card.extractor.findData(extractor))


def test_every_metric_has_its_words_and_its_place_once() -> None:
    assert set(TOOLTIPS) == set(METRICS)
    assert sorted(metric for group in GROUPS.values() for metric in group) == sorted(METRICS)
    assert all("better" in text for text in TOOLTIPS.values()), "the direction of each"


@pytest.mark.parametrize("extractor", EXTRACTORS)
def test_what_the_features_do_not_serve_is_grey_with_the_reason(card: MetricsCard, extractor: str) -> None:
    choose(card, extractor)
    assert [metric for metric in METRICS if card.boxes[metric].isEnabled()] == list(metrics_of(extractor))
    for metric in set(METRICS) - set(metrics_of(extractor)):
        assert "Off: only with" in card.boxes[metric].toolTip()
        assert not card.boxes[metric].isChecked()
        assert f"{card.boxes[metric].text()}" in visible_text(card)


def test_a_distance_is_called_fid_only_where_it_is(card: MetricsCard) -> None:
    assert card.boxes["fid"].text() == "FD"
    choose(card, "inception")
    assert card.boxes["fid"].text() == "FID"
    assert "sFID" in card.boxes["sfid"].accessibleName()


def test_ticks_come_back_with_the_features_that_serve_them(card: MetricsCard) -> None:
    choose(card, "inception")
    press(card.boxes["is"])
    assert "is" not in card.metrics()
    assert "sfid" in card.metrics()
    choose(card, "random")
    assert "sfid" not in card.metrics()
    choose(card, "inception")
    assert "sfid" in card.metrics()
    assert "is" not in card.metrics()


def test_without_a_metric_there_is_nothing_to_measure(card: MetricsCard) -> None:
    for metric in card.metrics():
        press(card.boxes[metric])
    assert card.why_not() == "Tick at least one metric."
    assert "Tick at least one metric." in visible_text(card)
    press(card.boxes["kid"])
    assert card.why_not() == ""
    assert card.options()["metrics"] == ("kid",)


def test_a_missing_model_file_is_said_with_a_way_to_get_it(qtbot: QtBot, card: MetricsCard) -> None:
    choose(card, "inception")
    assert card.why_not() == "", "nobody has looked for the files yet"
    card.show_model_files(model_files())
    assert card.extractor.currentText() == "Inception-v3 (needs model file)"
    assert card.why_not() == "Inception-v3 needs its model file: get it, or take random features."
    with qtbot.waitSignal(card.model_files_asked, check_params_cb=lambda name: name == "inception"):
        press(card.get_file)
    card.show_model_files(model_files("verified"))
    assert card.extractor.currentText() == "Inception-v3"
    assert card.why_not() == ""
    assert not card.get_file.isVisible()
    card.show_model_files(model_files("wrong hash"))
    assert card.why_not()
    choose(card, "random")
    assert card.why_not() == "", "random features need no file"


def test_a_weights_file_of_ones_own_takes_the_place_of_a_missing_one(card: MetricsCard) -> None:
    choose(card, "inception")
    card.show_model_files(model_files())
    type_into(card.form.editor("weights"), "/models/inception.pth")
    assert card.why_not() == ""
    choose(card, "random")
    assert card.why_not() == "Random features take no weights: leave them empty, or choose other features."
    assert card.form.editor("weights").property("invalid")


def test_only_inception_has_a_choice_of_resizing(card: MetricsCard) -> None:
    assert not card.protocol.isVisible()
    assert "protocol" not in card.options()
    choose(card, "inception")
    assert card.protocol.isVisible()
    assert [card.protocol.itemData(number) for number in range(card.protocol.count())] == [
        "adm-tf1", "clean", "legacy-pytorch"
    ]  # fmt: skip
    card.protocol.setCurrentIndex(1)
    assert card.options()["protocol"] == "clean"


def test_statistics_without_images_serve_frechet_distances_alone(card: MetricsCard) -> None:
    choose(card, "inception")
    card.show_reference(reference(source="statistics", has_images=False, has_labels=False, images=50_000))
    assert card.metrics() == ("fid", "sfid", "is")
    assert "not against statistics without images." in visible_text(card)
    card.show_reference(reference(source="statistics", images=10_000))
    assert "kid" in card.metrics()


def test_agreement_needs_classes(card: MetricsCard) -> None:
    assert "agreement" in card.metrics()
    card.show_reference(reference(has_labels=False, classes=()))
    assert "agreement" not in card.metrics()
    assert "Agreement: not against a reference without classes." in visible_text(card)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("count", "1", "Images (N) = 1 is not possible: it takes a whole number from 2 to 100,000,000."),
        ("count", "many", "Images (N) = 'many' is not possible"),
        ("seed", "-1", "Seed = -1 is not possible"),
        ("batch_size", "0", "Batch = 0 is not possible: it takes a whole number from 1 to 4096."),
    ],
)
def test_a_number_that_is_not_possible_says_so(card: MetricsCard, name: str, text: str, said: str) -> None:
    type_into(card.form.editor(name), text)
    assert said in card.why_not()
    assert card.form.editor(name).property("invalid")


def test_the_options_make_a_request(card: MetricsCard) -> None:
    request = EvaluationRequest(real="a", fake="b", **card.options())
    assert (request.count, request.has_floor, request.extractor) == (None, True, "random")
    type_into(card.form.editor("count"), "5,000")
    with QSignalBlocker(card):
        assert EvaluationRequest(real="a", fake="b", **card.options()).count == 5000


def test_an_earlier_evaluation_that_took_every_metric(card: MetricsCard) -> None:
    card.set_options(EvaluationRequest(real="a", fake="b", seed=7, has_floor=False), ())
    assert card.metrics() == metrics_of("random")
    assert card.options()["has_floor"] is False
    assert card.options()["seed"] == 7
