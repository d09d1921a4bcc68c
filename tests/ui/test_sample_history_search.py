"""What is typed into the search box of the history finds what it says."""

import pytest
from sample_history_scenes import make_history

from dit_studio.jobs.sample_history import HistoryEntry
from dit_studio.ui.sample.history_search import HELP, parse


@pytest.fixture(scope="module")
def entries(tmp_path_factory: pytest.TempPathFactory) -> list[HistoryEntry]:
    return make_history(tmp_path_factory.mktemp("history") / "samples").entries()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "abcdefg"),
        ("   ", "abcdefg"),
        ("digits", "abcfg"),
        ("DIGITS", "abcfg"),
        ("forest", "d"),
        ('"forest at"', "d"),
        ("unipc", "c"),
        ("sea", "de"),
        ("sea ddim", "de"),
        ("sea unipc", ""),
        ("cfg=4", "abdeg"),
        ("cfg=4,0", "abdeg"),
        ("cfg>4", "c"),
        ("cfg>=4", "abcdeg"),
        ("cfg<4", "f"),
        ("cfg!=4", "cf"),
        ("steps<50", "c"),
        ("steps<=50 cfg>5", "c"),
        ("seed=12", "abcdefg"),
        ("seed=15", "ade"),
        ("seed=64", "d"),
        ("seed!=12", ""),
        ("seed<2", "d"),
        ("seed>16", "de"),
        ("images>3", "ad"),
        ("count=64", "d"),
        ("t<500", "cg"),
        ("t>0", "bcg"),
        ("class:sea", "de"),
        ("class:3", "bc"),
        ("class:1", "g"),
        ('class:"forest at dusk"', "d"),
        ("class!=7", "bcdeg"),
        ("sampler:unipc", "c"),
        ("model:landscapes", "de"),
        ("weights:raw", ""),
        ("is:favourite", "ad"),
        ("is:star", "ad"),
        ("IS:Favourite", "ad"),
        ("is:branch", "bcg"),
        ("is:unfinished", "ef"),
        ("is:trajectory", "abcdeg"),
        ("is:branch cfg>4", "c"),
    ],
)
def test_entries_found(entries: list[HistoryEntry], text: str, found: str) -> None:
    query = parse(text)
    assert query.problems == ()
    assert "".join(sorted(item.name for item in entries if query.matches(item))) == found


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("cgf=4", 'There is no "cgf" to search by: did you mean "cfg"?'),
        ("colour:red", 'There is no "colour" to search by: '),
        ("cfg=high", '"cfg=high" is not possible: cfg takes a number, for instance cfg>4.'),
        ("cfg=nan", "cfg takes a number"),
        ("cfg=", '"cfg=" lacks a value, for instance cfg>4.'),
        ("class:", '"class:" lacks a value, for instance class:dog.'),
        ("class>3", '"class>3" is not possible: class is text, for instance class:dog.'),
        ("seed=-1", '"seed=-1" is not possible: a seed is a whole number from 0 on.'),
        ("seed=1e99999", "a seed is a whole number"),
        (
            "is:nice",
            '"is:nice" is not known: there is is:favourite, is:branch, is:sweep, is:trajectory, is:unfinished.',
        ),
    ],
)
def test_a_wrong_term_is_said_and_the_others_count(entries: list[HistoryEntry], text: str, sentence: str) -> None:
    query = parse(f"{text} unipc")
    (problem,) = query.problems
    assert sentence in problem
    assert [item.name for item in entries if query.matches(item)] == ["c"]


@pytest.mark.parametrize("text", ['"', '""', 'class:"', "=", ":", "<>", "a" * 10_000, "\x00", "é=1", "…"])
def test_nothing_that_is_typed_fails(entries: list[HistoryEntry], text: str) -> None:
    query = parse(text)
    assert all(isinstance(query.matches(item), bool) for item in entries)


def test_the_help_names_only_terms_that_work() -> None:
    terms = [word.strip("(),.;") for word in HELP.split() if any(sign in word for sign in "=<>") or ":" in word[:-1]]
    assert len(terms) > 10
    assert parse(" ".join(term for term in terms if '"' not in term)).problems == ()
