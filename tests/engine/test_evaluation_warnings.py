"""Every doubtful circumstance has its sentence and its level, and a sound comparison has none."""

from dataclasses import replace

import pytest

from dit_studio.engine.evaluation.warnings import Comparison, Side, warnings_for

REAL = Side(n=50_000, formats=frozenset({"png"}), sizes=frozenset({(256, 256)}))
SOUND = Comparison(
    real=REAL,
    generated=replace(REAL),
    metrics=("fid", "sfid", "is", "kid", "mmd", "precision"),
    protocol="adm-tf1",
    weights_sha256="aa" * 32,
    is_imagenet=True,
    subset_size=1000,
    model_weights="ema",
    compared_n=(50_000, 50_000),
)
FILE = replace(REAL, is_statistics=True, protocol="adm-tf1", weights_sha256="aa" * 32)


def test_kernel_distances_are_named_only_where_there_are_images_for_them() -> None:
    for real, remedy in (
        (REAL, "Go by a kernel distance (KID, KD or MMD), or take more images."),
        (replace(FILE, sizes=frozenset(), has_images=False), "Take more images."),
    ):
        cautions = warnings_for(replace(SOUND, real=real, generated=replace(REAL, n=150)))
        (of_fid,) = (caution.message for caution in cautions if caution.metric == "fid")
        assert of_fid.endswith(f"differ by. {remedy}")


def test_a_sound_comparison_has_none() -> None:
    assert warnings_for(SOUND) == []
    assert warnings_for(replace(SOUND, real=FILE)) == []


def test_copying_is_as_easy_as_there_are_few_images_not_as_few_are_measured() -> None:
    found = warnings_for(replace(SOUND, model_weights="ema", real=replace(REAL, n=16, images=50_000)))
    assert not [caution for caution in found if "copying them is rewarded" in caution.message]


@pytest.mark.parametrize(
    ("changes", "level", "metric", "words"),
    [
        ({"generated": replace(REAL, n=2047)}, "red", "fid", "2,047 generated images are too few: below 2,048"),
        ({"real": replace(REAL, n=500)}, "red", "sfid", "500 reference images are too few"),
        ({"generated": replace(REAL, n=9999)}, "amber", "fid", "9,999 generated images: below 10,000"),
        ({"generated": replace(REAL, n=30_000)}, "amber", "precision", "50,000 reference and 30,000 generated"),
        ({"compared_n": (50_000, 10_000, 5000)}, "amber", "", "others beside it of 5,000, 10,000"),
        ({"generated": replace(REAL, n=49_000)}, "amber", "is", "4,900 images a split: below 5,000"),
        ({"is_imagenet": False}, "amber", "is", "ImageNet's 1,000 classes"),
        ({"generated": replace(REAL, is_sorted_by_class=True)}, "note", "is", "sorted by class"),
        ({"real": replace(REAL, formats=frozenset({"jpeg"}))}, "amber", "", "JPEG against PNG"),
        ({"real": replace(REAL, formats=frozenset({"jpeg", "png"}))}, "note", "", "are mixed: JPEG and PNG"),
        ({"real": replace(REAL, sizes=frozenset({(300, 400), (512, 512)}))}, "amber", "", "400×300 to 512×512"),
        ({"generated": replace(REAL, sizes=frozenset({(32, 32)}))}, "note", "", "32×32, are enlarged to 299"),
        (
            {"generated": replace(REAL, sizes=frozenset({(90, 17), (64, 64)}))},
            "note",
            "",
            "17×90 to 64×64, are enlarged",
        ),
        (
            {"generated": replace(REAL, left_out="2 of 9 files were left out: a (damaged).")},
            "amber",
            "",
            "Of the generated images 2 of 9 files were left out: a (damaged).",
        ),
        ({"generated": replace(REAL, duplicates=12)}, "amber", "", "12 of 50,000 generated images"),
        ({"real": replace(FILE, protocol="clean")}, "red", "", "made as clean, these as adm-tf1"),
        ({"real": replace(FILE, protocol="")}, "amber", "", "do not say how they were made; here it is adm-tf1"),
        ({"real": replace(FILE, weights_sha256="bb" * 32)}, "red", "", r"other weights (bbbbbbbb, here aaaaaaaa)"),
        ({"real": replace(FILE, is_spatial_order_known=False)}, "amber", "sfid", "height, width, channel"),
        ({"real": replace(FILE, n=0)}, "note", "", "do not say of how many images"),
        ({"are_weights_verified": False}, "amber", "", "not the published file"),
        ({"arithmetic": "bf16"}, "note", "", "extracted in bf16"),
        ({"is_bandwidth_of_reference": False}, "red", "mmd", "bandwidth is of another reference"),
        ({"model_weights": "raw"}, "amber", "", "raw weights"),
        (
            {"generated": replace(REAL, colour="grey"), "real": replace(REAL, colour="colour")},
            "red",
            "",
            "The generated images are grey, the reference is in colour",
        ),
        (
            {"generated": replace(REAL, colour="colour"), "real": replace(REAL, colour="grey")},
            "red",
            "",
            "The generated images are in colour, the reference is grey",
        ),
        ({"trained_on": "/data/digits"}, "amber", "", "trained on other images than the reference's: on /data/digits"),
        ({"generated": replace(REAL, n=500)}, "red", "fid", "Go by a kernel distance (KID, KD or MMD)"),
        ({"cfg": 4.0}, "note", "", "CFG 4 trades"),
        ({"real": replace(REAL, n=900)}, "note", "", "With 900 real images, copying them is rewarded"),
        ({"real": replace(REAL, n=16, images=2100)}, "note", "", "With 2,100 real images, copying them is rewarded"),
        ({"real": replace(REAL, n=900)}, "note", "kid", "Subsets of 1,000 were asked for and are of 900"),
    ],
)
def test_each_circumstance_has_its_sentence(changes: dict[str, object], level: str, metric: str, words: str) -> None:
    found = warnings_for(replace(SOUND, **changes))
    said = [caution for caution in found if words in caution.message]
    assert (level, metric) in [(caution.level, caution.metric) for caution in said]
    assert {caution.level for caution in said} == {level}
    assert all(caution.message.endswith((".", "…")) for caution in found)
    order = [("red", "amber", "note").index(caution.level) for caution in found]
    assert order == sorted(order)


def test_nothing_is_said_of_metrics_that_were_not_asked_for() -> None:
    few = replace(SOUND, generated=replace(REAL, n=600), metrics=("kid",), is_imagenet=False, subset_size=0)
    assert [caution for caution in warnings_for(few) if caution.metric] == []
