"""Where classes come from: folders, tables, suffixes, and what is said of files without one."""

import zipfile
from pathlib import Path

import pytest
from PIL import Image

from dit_studio.engine.file_list import FileList, list_files, natural_key
from dit_studio.engine.labels import Classes, find_classes
from dit_studio.errors import DataError


def _list(path: Path) -> FileList:
    listing = list_files(str(path))
    while True:
        try:
            next(listing)
        except StopIteration as end:
            return end.value


def _folder(tmp_path: Path, *names: str, **texts: str) -> Path:
    root = tmp_path / "my images"
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")
    for name, text in texts.items():
        (
            root / name.replace("__", "/").replace("_csv", ".csv").replace("_jsonl", ".jsonl").replace("_txt", ".txt")
        ).write_text(text, encoding="utf-8")
    return root


def _classes(root: Path, choice: str = "auto") -> tuple[Classes, dict[str, str], dict[str, str]]:
    """The classes, the class of each file, and the reason of each file left out."""
    files = _list(root)
    classes = find_classes(files, choice)
    by_file = {
        member.name: classes.names[label] if classes.names else ""
        for member, label in zip(files.members, classes.labels, strict=True)
        if label >= 0
    }
    return classes, by_file, {problem.file: problem.reason for problem in files.left_out.problems}


def test_numbers_in_names_sort_as_numbers() -> None:
    assert sorted(["img10", "img2", "Img1", "10", "9"], key=natural_key) == ["9", "10", "Img1", "img2", "img10"]
    assert natural_key("9" * 10_000) > natural_key("9" * 9_000)  # more digits than Python turns into one number


def test_subfolders_are_classes_in_natural_order(tmp_path: Path) -> None:
    root = _folder(tmp_path, "10/a.png", "9/b.png", "9/deep/c.png", "stray.png", "notes.txt")
    classes, by_file, left_out = _classes(root)
    assert (classes.source, classes.names) == ("folders", ("9", "10"))
    assert by_file == {"10/a.png": "10", "9/b.png": "9", "9/deep/c.png": "9"}
    assert "beside the class folders" in left_out["stray.png"]
    assert "not an image" in left_out["notes.txt"]


@pytest.mark.parametrize("around", ["", "pets/", "pets/v1.0/"])
def test_folders_around_all_images_are_no_class(tmp_path: Path, around: str) -> None:
    root = _folder(tmp_path, f"{around}cat/1.png", f"{around}dog/1.png")
    assert _classes(root)[0].names == ("cat", "dog")


def test_train_and_test_are_no_classes_but_are_spoken_of(tmp_path: Path) -> None:
    root = _folder(tmp_path, "train/cat/1.png", "train/dog/2.png", "test/cat/3.png", "test/unknown.png")
    classes, by_file, left_out = _classes(root)
    assert classes.names == ("cat", "dog")
    assert by_file["test/cat/3.png"] == "cat"
    assert list(left_out) == ["test/unknown.png"]
    assert "test, train" in classes.warnings[0]


def test_one_subfolder_or_few_strays_in_subfolders_make_no_classes(tmp_path: Path) -> None:
    assert _classes(_folder(tmp_path / "a", "only/1.png", "only/2.png"))[0].source == "none"
    most_beside = [f"{number}.png" for number in range(9)]
    classes, by_file, _ = _classes(_folder(tmp_path / "b", "x/1.png", "y/2.png", *most_beside))
    assert classes.source == "none"
    assert classes.sources == ("folders",)
    assert len(by_file) == 11


def test_imagenet_folders_get_their_words(tmp_path: Path) -> None:
    root = _folder(
        tmp_path,
        "ILSVRC/train/n01440764/1.JPEG",
        "ILSVRC/train/n02012849/2.JPEG",
        "ILSVRC/train/n03126707/3.JPEG",
        LOC_synset_mapping_txt="n01440764 tench, Tinca tinca\nn02012849 crane\nn03126707 crane\n",
    )
    assert _classes(root)[0].names == ("tench", "crane (n02012849)", "crane (n03126707)")


@pytest.mark.parametrize(
    "table",
    [
        "file,label\na.png,cat\nsub/b.png,dog\n",
        "a.png,cat\nsub/b.png,dog\n",
        "\ufefffilename;class\na.png;cat\n.\\sub\\b.png;dog\n",
        'id\tignored\tlabel\n"a"\t1\tcat\nsub/b\t2\tdog\n',
    ],
)
def test_labels_csv(tmp_path: Path, table: str) -> None:
    classes, by_file, left_out = _classes(_folder(tmp_path, "a.png", "sub/b.png", labels_csv=table))
    assert (classes.source, classes.names) == ("labels", ("cat", "dog"))
    assert by_file == {"a.png": "cat", "sub/b.png": "dog"}
    assert left_out == {}


def test_rows_and_files_without_each_other_are_named(tmp_path: Path) -> None:
    table = "file,label\na.png,cat\nb.png,dog\ngone.png,cat\nb.png,cat\nc.png,\n"
    classes, by_file, left_out = _classes(_folder(tmp_path, "a.png", "b.png", "c.png", labels_csv=table))
    assert classes.source == "labels"
    assert by_file == {"a.png": "cat", "b.png": "dog"}
    assert "line 4 names it, but it is not there" in left_out["gone.png"]
    assert "gives it no class" in left_out["c.png"]
    assert set(left_out) == {"gone.png", "c.png"}
    assert classes.warnings == ('labels.csv, line 5 calls b.png "cat", after "dog"; the first counts.',)


def test_a_table_that_names_no_file_is_spoken_of(tmp_path: Path) -> None:
    classes, by_file, _ = _classes(_folder(tmp_path, "a.png", "b.png", labels_csv="x.png,cat\ny.png,dog\n"))
    assert classes.source == "none"
    assert len(by_file) == 2
    assert "x.png: labels.csv, line 1 names it, but it is not there" in classes.warnings[0]


def test_captions_beside_the_images_do_not_hide_the_folders(tmp_path: Path) -> None:
    images = [f"{kind}/{number}.png" for kind in ("cat", "dog") for number in range(3)]
    captions = [name.replace("png", suffix) for name in images for suffix in ("txt", "json")]
    assert _classes(_folder(tmp_path, *images, *captions))[0].source == "folders"


def test_metadata_jsonl_as_hugging_face_writes_it(tmp_path: Path) -> None:
    rows = '{"file_name": "1.png", "label": 10}\n\n{"file_name": "2.png", "label": 9}\nnot json\n'
    classes, by_file, left_out = _classes(_folder(tmp_path, "train/1.png", "train/2.png", train__metadata_jsonl=rows))
    assert classes.names == ("9", "10")
    assert by_file == {"train/1.png": "10", "train/2.png": "9"}
    assert "line 4" in left_out["train/metadata.jsonl"]


def test_accents_match_however_they_are_composed(tmp_path: Path) -> None:
    root = _folder(tmp_path, "cafe\u0301.png", "b.png", labels_csv="caf\u00e9.png,x\nb.png,y\n")
    assert _classes(root)[0].names == ("x", "y")


def test_the_suffix_tells_the_kind(tmp_path: Path) -> None:
    names = [f"{number:08}{suffix}.jpg" for number in range(3) for suffix in ("", *(f"_({n})" for n in range(2, 8)))]
    classes, by_file, _ = _classes(_folder(tmp_path, *names))
    assert (classes.source, classes.names) == ("suffix", tuple("1234567"))
    assert by_file["00000001.jpg"] == "1"
    assert by_file["00000001_(7).jpg"] == "7"


def test_one_copied_file_makes_no_kinds(tmp_path: Path) -> None:
    assert _classes(_folder(tmp_path, "a.png", "b.png", "b_(2).png"))[0].source == "none"


def test_a_choice_is_followed_and_what_else_fits_is_listed(tmp_path: Path) -> None:
    names = [
        f"{kind}/{number}{suffix}.png" for kind in ("cat", "dog") for number in range(2) for suffix in ("", "_(2)")
    ]
    table = "".join(f"{name},{'odd' if '1' in name else 'even'}\n" for name in names)
    root = _folder(tmp_path, *names, labels_csv=table)
    found = {choice: _classes(root, choice)[0] for choice in ("auto", "folders", "labels", "suffix", "none")}
    assert {choice: classes.names for choice, classes in found.items()} == {
        "auto": ("cat", "dog"),
        "folders": ("cat", "dog"),
        "labels": ("even", "odd"),
        "suffix": ("1", "2"),
        "none": (),
    }
    assert all(classes.sources == ("folders", "labels", "suffix") for classes in found.values())
    assert not found["none"].labels.any()


@pytest.mark.parametrize("choice", ["folders", "labels", "suffix"])
def test_a_choice_that_gives_no_classes_is_refused(tmp_path: Path, choice: str) -> None:
    root = _folder(tmp_path, "a.png", "b.png")
    with pytest.raises(DataError) as caught:
        _classes(root, choice)
    assert f'classes = "{choice}"' in caught.value.message
    assert "auto, none" in caught.value.remedy


def test_a_table_that_is_not_utf_8_is_named(tmp_path: Path) -> None:
    root = _folder(tmp_path, "a.png", "b.png")
    (root / "labels.csv").write_bytes("a.png,caf\xe9\n".encode("latin-1"))
    classes, _, left_out = _classes(root)
    assert classes.source == "none"
    assert "UTF-8" in left_out["labels.csv"]


def test_tables_are_read_inside_archives(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        archive.writestr("set/labels.csv", "1.png,Äpfel\n2.png,Birnen\n")
        for name in ("1.png", "2.png"):
            archive.writestr(f"set/{name}", b"x")
    assert _classes(tmp_path / "set.zip")[0].names == ("Birnen", "Äpfel")


def test_names_that_are_not_utf_8_can_be_shown(tmp_path: Path) -> None:
    root = tmp_path / "images"
    for name in (b"caf\xe9", b"tea"):
        folder = bytes(root) + b"/" + name
        Path(folder.decode("utf-8", "surrogateescape")).mkdir(parents=True)
        Image.new("L", (8, 8)).save((folder + b"/1.png").decode("utf-8", "surrogateescape"))
    names = _classes(root)[0].names
    assert names == ("caf\\udce9", "tea")
    assert all(name.encode() for name in names)
