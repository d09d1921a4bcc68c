"""Reports: what each form holds, that nothing in them is code or a formula, and what is refused."""

import csv
import io
import json
import os
import re
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import msgspec
import pytest
from PIL import Image

from dit_studio.engine.evaluation.report.contents import figures_of, groups_of, read_entry
from dit_studio.engine.evaluation.report.job import report
from dit_studio.engine.evaluation.report.svg_plot import Mark, Series, bar_plot, line_plot, nice_ticks, scatter_plot
from dit_studio.errors import ConfigError, DataError, RunError
from dit_studio.evaluation_plan import CopyList, EvaluationRecord, plan_sources
from dit_studio.evaluation_request import EvaluationRequest, EvaluationResult, decode_result
from dit_studio.events import Progress, Written
from dit_studio.figures import number
from dit_studio.jobs import table
from tests.ui.evaluation_results import (
    copies,
    curve_plan,
    curve_results,
    embeddings_results,
    one_plan,
    one_result,
    record_of,
    sources_plan,
    sources_results,
    write_entry,
)

EVIL = "<script>alert(\"1\")</script> & 'x' =cmd()"


def written(path: Path, *folders: Path) -> Written:
    said = list(report([str(folder) for folder in folders], str(path)))
    assert all(isinstance(event, Progress) for event in said[:-1])
    assert isinstance(said[-1], Written)
    assert said[-1].size_bytes == path.stat().st_size
    return said[-1]


class Page(HTMLParser):
    """What is in a page: tags in order, texts, every attribute; `problems`: tags that do not close."""

    EMPTY = frozenset({"meta", "img", "br"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.texts: list[str] = []
        self.problems: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        self.problems += self._open

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in self.EMPTY:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open.pop() != tag:
            self.problems.append(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        if not self._open or self._open[-1] != "style":
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


@pytest.fixture
def curve(tmp_path: Path) -> Path:
    results = {index: result for index, result in curve_results().items() if index != 3}
    return write_entry(tmp_path, "curve", record_of(curve_plan(), failed=(3,)), results)


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    return write_entry(tmp_path, "sources", record_of(sources_plan()), sources_results())


def page_of(path: Path, *folders: Path) -> Page:
    written(path, *folders)
    return Page(path.read_text(encoding="utf-8"))


# ------------------------------------------------------------------------------------------------- HTML


def test_the_page_is_whole_and_loads_nothing(curve: Path, sources: Path, tmp_path: Path) -> None:
    page = page_of(tmp_path / "report.html", curve, sources)
    assert not page.problems
    assert not {"script", "link", "iframe", "object", "embed", "base", "form"} & set(page.tags)
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]
    loaded = [value for _, name, value in page.attributes if name in ("src", "href", "xlink:href", "srcset", "action")]
    assert loaded
    assert all(value.startswith(("data:image/png;base64,", "#")) for value in loaded)
    style = re.search(r"<style>(.*?)</style>", (tmp_path / "report.html").read_text(encoding="utf-8"), re.S)
    assert style is not None
    assert "url(" not in style[1]
    assert "@import" not in style[1]
    assert "prefers-color-scheme:dark" in style[1]
    assert "@media print" in style[1]


def test_links_within_the_page_lead_somewhere(curve: Path, sources: Path, tmp_path: Path) -> None:
    page = page_of(tmp_path / "report.html", curve, sources)
    targets = {value for _, name, value in page.attributes if name == "id"}
    assert {value[1:] for _, name, value in page.attributes if name == "href"} == targets


def test_every_figure_is_there_with_its_interval_numbers_and_floor(curve: Path, tmp_path: Path) -> None:
    text = page_of(tmp_path / "report.html", curve).text
    for index, result in curve_results().items():
        if index == 3:
            continue
        assert result.protocol_line in text
        for found in result.results:
            assert f"{number(found.value)}" in text, found
            if found.interval:
                assert f"{number(found.interval.low)} … {number(found.interval.high)}" in text
            else:
                assert found.why_no_interval in text
    assert "1.500 at 250" in text
    assert "500 real and 500 generated images" in text
    assert f"random features, the same random weights on every machine (SHA-256 {'5eed0000' * 8})" in text
    assert "published weights" not in text
    assert "Not to be trusted, FD-random-500: FD of 500 images is not comparable" in text
    assert "step 200, CFG 7 failed: The checkpoint" in text
    assert "dit-studio 0.1" in text


def test_curves_and_bars_are_drawn_one_metric_a_plot(curve: Path, sources: Path, tmp_path: Path) -> None:
    page = page_of(tmp_path / "report.html", curve, sources)
    labels = [value for tag, name, value in page.attributes if tag == "svg" and name == "aria-label"]
    assert labels[:2] == ["digits: checkpoint × CFG: FD-random-500", "FD-random-500"]
    assert len(labels) == (6 + 1) + (4 + 1)
    assert page.tags.count("polyline") == (6 + 1) * 4  # metrics, and precision against recall; × CFG scales


def test_precision_is_drawn_against_recall(curve: Path, sources: Path, tmp_path: Path) -> None:
    written(tmp_path / "report.html", curve, sources)
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    svgs = [svg for svg in re.findall(r"<svg.*?</svg>", html, re.S) if "recision against recall" in svg]
    of_curve, of_sources = (ElementTree.fromstring(svg) for svg in svgs)
    assert of_curve.attrib["aria-label"] == "digits: checkpoint × CFG: precision against recall"
    texts = [text for svg in (of_curve, of_sources) for text in ("".join(one.itertext()) for one in svg.iter("text"))]
    assert {"Recall-random-500", "Precision-random-500"} <= set(texts)
    assert {"step 1,000", "real half", "model", "copies", "noise"} <= set(texts)
    assert len(list(of_curve.iter("circle"))) == 19
    assert len(list(of_sources.iter("polyline"))) == 0
    hints = [hint.text for dot in of_sources.iter("circle") for hint in dot]
    assert hints[1] == "model: precision 0.880 [0.860, 0.900], recall 0.610 [0.590, 0.630]"
    (cross,) = of_sources.iter("path")
    assert [hint.text for hint in cross] == ["floor: precision 0.93, recall 0.94"]
    assert "✕: the floor, 250 real images against 250 others" in html


def test_the_plots_are_well_formed(curve: Path, sources: Path, tmp_path: Path) -> None:
    written(tmp_path / "report.html", curve, sources)
    for svg in re.findall(r"<svg.*?</svg>", (tmp_path / "report.html").read_text(encoding="utf-8"), re.S):
        root = ElementTree.fromstring(svg)
        width, height = (float(root.attrib[name]) for name in ("width", "height"))
        for element in root.iter():
            for name, most in (
                ("x", width),
                ("x1", width),
                ("x2", width),
                ("cx", width),
                ("y1", height),
                ("cy", height),
            ):
                assert 0 <= float(element.attrib.get(name, 0)) <= most, (element.tag, element.attrib)


def test_pictures_are_inside(curve: Path, tmp_path: Path) -> None:
    page = page_of(tmp_path / "report.html", curve)
    pictures = [value for tag, name, value in page.attributes if tag == "img" and name == "src"]
    assert len(pictures) == 19


def test_the_nearest_pairs_are_shown_where_the_images_still_are(tmp_path: Path) -> None:
    """The real ones are there; the folder of the generated ones is gone."""
    real = tmp_path / "real"
    real.mkdir()
    for count in range(12):
        Image.new("RGB", (8, 8), (20 * count, 90, 90)).save(real / f"{count:02}.png")
    folder = write_entry(tmp_path, "copies", record_of(sources_plan()), sources_results())
    found = CopyList(real_path=str(real), fake_path=str(tmp_path / "gone"), copies=copies())
    (folder / "results" / "002-copies.json").write_bytes(msgspec.json.encode(found))
    page = page_of(tmp_path / "report.html", folder)
    pairs = [value for tag, name, value in page.attributes if tag == "img" and name == "title"]
    assert pairs == [f"train/{place + near:05}.png" for near in range(3) for place in range(8)]
    assert "50.0% of the images are closer to a reference image" in page.text
    assert "Some pictures are missing" in page.text
    assert "gone cannot be read" in page.text
    assert ("td", "class", "close") in page.attributes


def test_no_text_becomes_markup(tmp_path: Path) -> None:
    request = EvaluationRequest(real=EVIL, fake=EVIL)
    plan = plan_sources([request], labels=[EVIL], title=EVIL)
    result = one_result()
    caution = msgspec.structs.replace(result.cautions[0], message=EVIL)
    found = msgspec.structs.replace(result.results[0], name=EVIL, why_no_interval=EVIL, estimator=EVIL, unit=EVIL)
    side = msgspec.structs.replace(result.real, path=EVIL, left_out=EVIL, class_names=(EVIL,))
    result = msgspec.structs.replace(
        result, results=(found,), cautions=(caution,), protocol_line=EVIL, real=side, why_no_floor=EVIL,
        why_no_copying=EVIL, versions={EVIL: EVIL},
    )  # fmt: skip
    folder = write_entry(tmp_path, "evil", record_of(plan), {0: result})
    page = page_of(tmp_path / "report.html", folder)
    assert "script" not in page.tags
    assert not page.problems
    assert EVIL in page.text


def test_what_html_cannot_hold_does_not_break_it(tmp_path: Path) -> None:
    plan = plan_sources([EvaluationRequest(real="r", fake="f")], labels=["a\x00b\x1b[31m"], title="數據 \u202e")
    folder = write_entry(tmp_path, "odd", record_of(plan), {0: one_result()})
    written(tmp_path / "report.html", folder)
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "a�b�[31m" in html
    assert "數據" in html


# ------------------------------------------------------------------------------------------------- protocols


def test_different_protocols_never_share_an_axis(tmp_path: Path) -> None:
    results = dict(enumerate(embeddings_results()))
    plan = plan_sources([EvaluationRequest(real="r", fake="f")] * 3, labels=["a", "b", "c"], title="three embeddings")
    folder = write_entry(tmp_path, "three", record_of(plan), results)
    page = page_of(tmp_path / "report.html", folder)
    assert "3 groups of different protocols" in page.text
    assert "Extractor siglip features, published weights (SHA-256" in page.text
    assert [value for tag, name, value in page.attributes if tag == "section" and name == "id"][:3] == [
        "group-A", "group-B", "group-C",
    ]  # fmt: skip
    assert page.tags.count("svg") == 3


def test_another_number_of_images_or_reference_is_another_group(tmp_path: Path) -> None:
    changed = [{}, {"n": 300}, {"real_hash": "0" * 12}]
    groups = groups_of(figures_of([read_entry(str(folder)) for folder in _entries(tmp_path, changed)]))
    assert [group.letter for group in groups] == ["A", "B", "C"]
    assert [group.protocol.n_fake for group in groups] == [500, 300, 500]


def _entries(root: Path, changed: list[Any]) -> list[Path]:
    return [
        write_entry(root, f"entry {number}", record_of(curve_plan()), curve_with(**change))
        for number, change in enumerate(changed)
    ]


def curve_with(**change: Any) -> dict[int, EvaluationResult]:
    from tests.ui.evaluation_results import curve_result

    return {index: curve_result(index, **change) for index in range(20)}


def test_equal_protocols_of_two_entries_share_one(tmp_path: Path) -> None:
    entries = [read_entry(str(folder)) for folder in _entries(tmp_path, [{}, {}])]
    assert len(groups_of(figures_of(entries))) == 1


# ------------------------------------------------------------------------------------------------- CSV and JSON


def rows_of(path: Path) -> list[dict[str, str]]:
    data = path.read_bytes()
    assert data.startswith(b"\xef\xbb\xbf")
    return list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline="")))


def test_the_table_has_a_row_a_figure_to_the_last_digit(curve: Path, tmp_path: Path) -> None:
    assert written(tmp_path / "report.csv", curve).note == "1 of 20 points were not measured."
    rows = rows_of(tmp_path / "report.csv")
    figures = [found for index, result in curve_results().items() if index != 3 for found in result.results]
    measured = [row for row in rows if row["metric"]]
    assert len(measured) == len(figures)
    for row, found in zip(measured, figures, strict=True):
        assert (row["metric"], float(row["value"])) == (found.metric, found.value)
        assert row["low"] == ("" if found.interval is None else repr(found.interval.low))
        assert (row["n_real"], row["n_fake"], row["weights_sha256"]) == ("500", "500", "5eed0000" * 8)
    assert measured[0]["floor"] == "1.5"
    assert measured[0]["floor_n"] == "250"
    (failed,) = [row for row in rows if not row["metric"]]
    assert failed["point"] == "step 200, CFG 7"
    assert failed["why_no_value"].startswith("The checkpoint")


@pytest.mark.parametrize("text", ["=1+1", "+1", "-2", "@SUM(A1)", "\t=1", "\r=1"])
def test_a_text_is_never_a_formula(tmp_path: Path, text: str) -> None:
    plan = plan_sources([EvaluationRequest(real="r", fake="f")], labels=[text], title=text)
    folder = write_entry(tmp_path, "entry", record_of(plan), {0: one_result()})
    written(tmp_path / "report.csv", folder)
    row = rows_of(tmp_path / "report.csv")[0]
    assert (row["entry"], row["point"]) == (f"'{text}", f"'{text}")


def test_a_number_below_nothing_stays_a_number(tmp_path: Path) -> None:
    result = one_result()
    below = msgspec.structs.replace(result.results[1], value=-0.00125)
    folder = write_entry(
        tmp_path, "entry", record_of(one_plan()), {0: msgspec.structs.replace(result, results=(below,))}
    )
    written(tmp_path / "report.csv", folder)
    assert rows_of(tmp_path / "report.csv")[0]["value"] == "-0.00125"


def test_json_holds_records_and_results_as_they_are(curve: Path, sources: Path, tmp_path: Path) -> None:
    written(tmp_path / "report.json", curve, sources)
    found = json.loads((tmp_path / "report.json").read_bytes())
    assert [len(entry["results"]) for entry in found["entries"]] == [19, 4]
    record = msgspec.convert(found["entries"][0]["record"], EvaluationRecord)
    assert record == read_entry(str(curve)).record
    again = decode_result(json.dumps(found["entries"][1]["results"][2]["result"]))
    assert again == sources_results()[2]


# ------------------------------------------------------------------------------------------------- what is refused


def test_a_folder_without_results(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"empty is no evaluation"):
        written(tmp_path / "report.html", tmp_path / "empty")
    waiting = write_entry(tmp_path, "waiting", record_of(curve_plan(), done=0, failed=(1,)), {})
    with pytest.raises(DataError, match=r"waiting holds no results: none of its 20 points was measured\. The first"):
        written(tmp_path / "report.html", waiting)
    assert not (tmp_path / "report.html").exists()


@pytest.mark.parametrize("name", ["report.pdf", "report", ""])
def test_another_suffix(curve: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        list(report([str(curve)], str(tmp_path / name) if name else ""))
    assert "has to end in .html, .csv or .json" in caught.value.problems[0].message


def test_no_folder_at_all(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        list(report([], str(tmp_path / "report.html")))
    assert "at least one evaluation" in caught.value.problems[0].message


def test_a_place_that_cannot_be_written(curve: Path, tmp_path: Path) -> None:
    (tmp_path / "taken.html").mkdir()
    with pytest.raises(RunError, match="is a folder"):
        list(report([str(curve)], str(tmp_path / "taken.html")))
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot be written"):
        list(report([str(curve)], str(tmp_path / "file" / "report.html")))


@pytest.mark.skipif(os.name == "nt", reason="needs a file system of bytes")
def test_a_damaged_result_is_named(curve: Path, tmp_path: Path) -> None:
    (curve / "results" / "005.json").write_bytes(b"{")
    with pytest.raises(DataError, match=r"005\.json is damaged"):
        written(tmp_path / "report.html", curve)


def test_the_job_is_in_the_table(curve: Path, tmp_path: Path) -> None:
    said = list(table.call("report", {"folders": [str(curve), str(curve)], "path": str(tmp_path / "new" / "r.json")}))
    assert isinstance(said[-1], Written)
    assert len(json.loads((tmp_path / "new" / "r.json").read_bytes())["entries"]) == 1  # the same twice is one


# ------------------------------------------------------------------------------------------------- plots


@pytest.mark.parametrize(("low", "high"), [(0, 1), (-3, 7), (1e-9, 2e-9), (1e6, 5e9), (-1.0, -0.5)])
def test_ticks_are_round_and_inside(low: float, high: float) -> None:
    ticks = nice_ticks(low, high, 5)
    assert 2 <= len(ticks) <= 6
    assert all(low - 1e-9 * abs(high) <= tick <= high + 1e-9 * abs(high) for tick in ticks)


def test_a_plot_of_equal_values_has_a_range() -> None:
    mark = Mark(x=1.0, y=0.0, label="a")
    for svg in (
        bar_plot([mark, mark], title="t", floor=None),
        line_plot([], title="t", x_title="x", ticks=[(1.0, "1")], floor=0.0),
        scatter_plot([Series(name="a", marks=(mark, mark))], title="t", titles=("x", "y"), floor=mark),
    ):
        assert "nan" not in svg
        ElementTree.fromstring(svg)


@pytest.mark.parametrize(("count", "named"), [(100, True), (101, False)])
def test_more_than_a_hundred_marks_have_no_names(count: int, named: bool) -> None:
    marks = tuple(Mark(x=float(x), y=0.5, label="", name=f"n{x}") for x in range(count))
    svg = scatter_plot([Series(name="", marks=marks)], title="t", titles=("x", "y"), floor=None)
    assert (">n0<" in svg) is named
