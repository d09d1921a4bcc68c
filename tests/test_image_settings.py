"""Settings inside PNG files: written, read back, and what becomes of files that mean no good."""

import io
import json
import os
import struct
import time
import zlib
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from dit_studio.engine.export.png import encode_png
from dit_studio.errors import DataError
from dit_studio.image_settings import FoundSettings, clean, read_settings, write_text
from dit_studio.sample_request import BranchPoint, ModelReference, SampleRecord, SampleRequest

REQUEST = SampleRequest(classes=(2, 0), count=6, seed=40, steps=30, cfg=4.5, sampler="dpm++", cfg_from=100, cfg_to=700)
MODEL = ModelReference(
    path="/runs/été", name="landscapes · step 20,000 · EMA", step=20_000, fingerprint="0123456789abcdef",
    class_names=("sea, calm", "mountain", "山"),
)  # fmt: skip
RECORD = SampleRecord(request=REQUEST, model=MODEL, precision="fp32", device="a CPU", studio_version="0.1")
PIXELS = np.zeros((8, 12, 3), np.uint8)


def chunk(kind: bytes, data: bytes, *, length: int | None = None) -> bytes:
    return struct.pack(">I", len(data) if length is None else length) + kind + data + struct.pack(
        ">I", zlib.crc32(kind + data)
    )  # fmt: skip


def png(*chunks: bytes, end: bytes = b"") -> bytes:
    """A PNG of one pixel with these chunks after its header."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(b"\0\0"))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + pixels + (end or chunk(b"IEND", b""))


def text_chunk(text: str, key: bytes = b"dit_studio") -> bytes:
    return chunk(b"tEXt", key + b"\0" + text.encode("latin-1"))


def read(tmp_path: Path, data: bytes) -> FoundSettings:
    file = tmp_path / "picture.png"
    file.write_bytes(data)
    return read_settings(file)


def read_request(tmp_path: Path, request: Any, **more: Any) -> FoundSettings:
    return read(tmp_path, png(text_chunk(json.dumps({"request": request, **more}))))


def test_a_png_gives_back_its_request(tmp_path: Path) -> None:
    found = read(tmp_path, encode_png(PIXELS, RECORD, 3))
    assert SampleRequest(**found.settings) == REQUEST
    assert (found.image, found.refused, found.unknown, found.is_branch, found.is_foreign) == (3, (), (), False, False)
    assert found.model == MODEL


def test_the_settings_of_one_image_alone(tmp_path: Path) -> None:
    alone = SampleRequest(**read(tmp_path, encode_png(PIXELS, RECORD, 3)).of_this_image())
    assert (alone.classes, alone.seed, alone.count, alone.cfg) == ((0,), 43, 1, 4.5)


def test_other_programs_can_read_it_too() -> None:
    with Image.open(io.BytesIO(encode_png(PIXELS, RECORD, 1))) as picture:
        texts = picture.text  # type: ignore[attr-defined]
        assert picture.size == (12, 8)
    first, second = texts["parameters"].splitlines()
    assert first == "sea, calm"
    assert second.startswith("Steps: 30, Sampler: dpm++, CFG scale: 4.5, Seed: 41, Class: 0, Size: 12x8, ")
    assert 'Model hash: 0123456789abcdef, Model: "landscapes · step 20,000 · EMA"' in second
    assert json.loads(texts["dit_studio"])["image"] == 1


def test_a_branch_says_so(tmp_path: Path) -> None:
    record = msgspec.structs.replace(RECORD, branch=BranchPoint(entry="20260101-000000-abcd", image=0, step=4, t=640.0))
    assert read(tmp_path, encode_png(PIXELS, record, 0)).is_branch
    assert "Branch: 20260101-000000-abcd image 0 t 640" in write_text(record, 0)["parameters"]


def test_a_thousand_class_names_do_not_outweigh_an_image(tmp_path: Path) -> None:
    names = tuple(f"a long name of class {k}" for k in range(1000))
    record = msgspec.structs.replace(
        RECORD, model=msgspec.structs.replace(MODEL, class_names=names), request=SampleRequest(classes=(*range(1000),))
    )
    data = encode_png(PIXELS, record, 7)
    found = read(tmp_path, data)
    assert len(data) < 5000
    assert found.settings["classes"] == tuple(range(1000))
    assert found.model is not None
    assert found.model.class_names[7] == "a long name of class 7"


def test_names_that_are_no_text_do_not_stop_a_picture(tmp_path: Path) -> None:
    strange = os.fsdecode(b"caf\xe9")
    record = msgspec.structs.replace(RECORD, model=msgspec.structs.replace(MODEL, class_names=(strange,) * 3))
    found = read(tmp_path, encode_png(PIXELS, record, 0))
    assert found.model is not None
    assert found.model.class_names[0] == "caf�"


# ------------------------------------------------------------------------------------------------- other programs


def test_what_other_programs_write_is_offered_where_it_maps(tmp_path: Path) -> None:
    info = PngInfo()
    info.add_text("parameters", "a cat, Steps: 3\nNegative prompt: dog\nSteps: 20, Sampler: DPM++ 2M, CFG scale: 7.5, "
                  'Seed: 4023456789, Size: 512x512, Model: "x, Seed: 9", Version: v1.9')  # fmt: skip
    Image.new("L", (2, 2)).save(tmp_path / "a.png", pnginfo=info)
    found = read_settings(tmp_path / "a.png")
    assert found.settings == {"steps": 20, "sampler": "dpm++", "cfg": 7.5, "seed": 4023456789}
    assert found.is_foreign
    assert found.unknown == ("Size", "Model", "Version")


def test_a_foreign_sampler_that_is_not_ours_is_refused_alone(tmp_path: Path) -> None:
    found = read(tmp_path, png(text_chunk("x\nSteps: 20, Sampler: LMS Karras, Seed: -1", b"parameters")))
    assert found.settings == {"steps": 20}
    assert [refused.name for refused in found.refused] == ["sampler", "seed"]
    assert "one of ddim" in found.refused[0].message


# ------------------------------------------------------------------------------------------------- hostile files


@pytest.mark.parametrize(
    ("name", "value", "limit"),
    [
        ("steps", -5, "from 1 to 4000"), ("steps", 10**30, "from 1 to 4000"), ("steps", 2.5, "whole number"),
        ("steps", True, "whole number"), ("steps", None, "whole number"), ("steps", [1], "whole number"),
        ("cfg", float("nan"), "from 0 to 100"), ("cfg", float("inf"), "from 0 to 100"), ("cfg", {"a": 1}, "a number"),
        ("sampler", "rm -rf", "one of ddim"), ("sampler", 3, "one of ddim"), ("seed", "9" * 5000, "whole number"),
        ("sampler", "\ud800", "one of ddim"), ("steps", "\ud800", "whole number"),
        ("classes", [], "from 0 to"), ("classes", [0, -1], "from 0 to"), ("classes", [True], "from 0 to"),
        ("classes", "0", "from 0 to"), ("count", 10**8, "from 1 to"), ("batch_size", 0, "from 1 to"),
    ],
)  # fmt: skip
def test_a_setting_that_does_not_fit_is_refused_and_the_rest_offered(
    tmp_path: Path, name: str, value: Any, limit: str
) -> None:
    found = read_request(tmp_path, {"eta": 0.5, name: value})
    assert found.settings == {"eta": 0.5}
    (refused,) = found.refused
    assert refused.name == name
    assert limit in refused.message
    assert len(refused.message) < 300
    assert refused.message.encode()


def test_what_this_version_does_not_know_is_listed(tmp_path: Path) -> None:
    found = read_request(tmp_path, {"steps": 3, "__class__": "os.system"}, exec="import os", version=9)
    assert found.settings == {"steps": 3}
    assert found.unknown == ("__class__", "exec")


def test_a_flood_of_unknown_settings_is_cut(tmp_path: Path) -> None:
    found = read_request(tmp_path, {"steps": 3, **{f"{k}" * 40: 0 for k in range(500)}})
    assert len(found.unknown) == 50
    assert max(map(len, found.unknown)) <= 80


def test_names_are_made_safe_to_show(tmp_path: Path) -> None:
    model = {"path": "a\0b\x1b[31m" + "x" * 5000, "name": "\ud800 \u202egnp.exe\n", "step": -1, "weights": 7,
             "class_names": [3, "ok", ["deep"], "\u0007"], "fingerprint": None}  # fmt: skip
    found = read_request(tmp_path, {}, model=model, image=-4)
    assert found.image is None
    assert found.model is not None
    assert found.model.name == "� �gnp.exe�"
    assert found.model.path.startswith("a�b�[31mxxx")
    assert len(found.model.path) <= 1000
    assert (found.model.step, found.model.weights, found.model.fingerprint) == (0, "ema", "")
    assert found.model.class_names == ("", "ok", "", "�")


@pytest.mark.parametrize(
    "text",
    ["", "[]", "null", "{", '{"request": 3}', "[" * 60_000, '{"request": ' + '{"a":' * 5000, '"' * 60_000,
     '"' + '\\"' * 30_000, '{"request": {"a": ' + "9" * 60_000 + "}", "\xff\xfe"],
)  # fmt: skip
def test_damaged_settings_are_a_sentence_and_cost_no_time(tmp_path: Path, text: str) -> None:
    started = time.process_time()
    with pytest.raises(DataError, match="its settings are damaged"):
        read(tmp_path, png(text_chunk(text)))
    assert time.process_time() - started < 2


@pytest.mark.parametrize("kind", [b"zTXt", b"iTXt"])
def test_a_text_that_explodes_is_left_out(tmp_path: Path, kind: bytes) -> None:
    bomb = zlib.compress(b'{"request": {"steps": 3}}' + b" " * 50_000_000, 9)
    head = b"dit_studio\0\0" if kind == b"zTXt" else b"dit_studio\0\1\0\0\0"
    with pytest.raises(DataError, match="holds no settings"):
        read(tmp_path, png(chunk(kind, head + bomb)))
    small = zlib.compress(b'{"request": {"steps": 3}}')
    assert read(tmp_path, png(chunk(kind, head + small))).settings == {"steps": 3}


def test_of_two_texts_the_first_counts_and_damage_falls_back_to_the_readable_one(tmp_path: Path) -> None:
    first, second = text_chunk('{"request": {"steps": 3}}'), text_chunk('{"request": {"steps": 4}}')
    assert read(tmp_path, png(first, second)).settings == {"steps": 3}
    assert read(tmp_path, png(text_chunk("{"), text_chunk("Steps: 5", b"parameters"))).settings == {"steps": 5}


@pytest.mark.parametrize(
    "broken",
    [
        chunk(b"tEXt", b"dit_studio\0{}", length=2**31),
        chunk(b"tEXt", b"dit_studio\0{}", length=2**32 - 1),
        chunk(b"tEXt", b"dit_studio\0{}", length=60_000),
        chunk(b"zTXt", b"dit_studio\0\0not zlib"),
        chunk(b"zTXt", b"dit_studio"),
        chunk(b"iTXt", b"dit_studio\0\1\0en"),
        chunk(b"iTXt", b"dit_studio\0\0\0\0\0\xff\xff"),
        chunk(b"tEXt", b"dit_studio\0" + b"x" * 100_000),
        chunk(b"\0\0\0\0", b""),
        chunk(b"tEXt", b"") * 1000,
    ],
)
def test_broken_chunks_hold_no_settings(tmp_path: Path, broken: bytes) -> None:
    with pytest.raises(DataError, match="cannot restore anything"):
        read(tmp_path, png(broken))


def test_every_truncation_of_a_picture_is_a_sentence_or_settings(tmp_path: Path) -> None:
    whole = encode_png(PIXELS, RECORD, 0)
    outcomes = set()
    for length in range(0, len(whole), 7):
        try:
            outcomes.add(bool(read(tmp_path, whole[:length]).settings))
        except DataError as error:
            outcomes.add(error.message.rpartition(" ")[2])
    assert outcomes == {True, "PNG.", "drawn."}


def test_files_that_are_no_png_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"picture\.png is not a PNG"):
        read(tmp_path, b"GIF89a")
    for path, sentence in ((tmp_path, "is not a file"), (Path("/dev/zero"), "is not a file"),
                           (tmp_path / "nowhere.png", "cannot be read"), (Path("a\0b"), "cannot be read")):  # fmt: skip
        with pytest.raises(DataError, match=sentence):
            read_settings(path)


def test_long_texts_are_cut_to_their_length() -> None:
    assert clean("x" * 200, 10) == "x" * 9 + "…"
    assert clean("x" * 10, 10) == "x" * 10
