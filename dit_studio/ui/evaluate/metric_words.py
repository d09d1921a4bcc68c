"""What each metric is called in the list, and what hovering says of it."""

from dit_studio.evaluation_request import Metric

EXTRACTORS: dict[str, tuple[str, str]] = {
    "random": ("Random features", "A random convolutional network with a fixed seed: needs no file, ranks models."),
    "inception": ("Inception-v3", "The network of FID, sFID and IS: for figures that papers can be compared with."),
    "clip-b32": ("CLIP ViT-B/32", "What an image shows, as its caption would: for images unlike photographs, too."),
    "clip-l14-336": ("CLIP ViT-L/14-336", "The features of CMMD."),
    "siglip": ("SigLIP", "Like CLIP, trained in another way."),
    "align": ("ALIGN", "Like CLIP, trained on other captions."),
    "dinov2": ("DINOv2", "Trained without captions; its distances agree best with what people see."),
}
PROTOCOL_WORDS = {
    "adm-tf1": "as ADM and DiT (TF1 bilinear)",
    "clean": "as clean-fid (bicubic)",
    "legacy-pytorch": "as pytorch-fid (bilinear)",
}
GROUPS: dict[str, tuple[Metric, ...]] = {
    "Distance": ("fid", "sfid", "fid-infinity", "kid", "kid-subsets", "mmd", "cmmd"),
    "Quality and variety": ("precision", "recall", "density", "coverage", "is", "agreement"),
    "Is it copying?": ("copying",),
}
_LOWER, _HIGHER = "Lower is better; 0: no difference found.", "Higher is better."
_DISTANCES: dict[Metric, str] = {
    "fid": "FD", "sfid": "sFID", "fid-infinity": "FD∞", "kid": "KD", "kid-subsets": "KD-subsets"
}  # fmt: skip
_INCEPTION: dict[Metric, str] = {
    "fid": "FID", "sfid": "sFID", "fid-infinity": "FID∞", "kid": "KID", "kid-subsets": "KID-subsets"
}  # fmt: skip
_OTHERS: dict[Metric, str] = {
    "mmd": "MMD", "cmmd": "CMMD", "precision": "Precision", "recall": "Recall", "density": "Density",
    "coverage": "Coverage", "is": "IS", "agreement": "Agreement", "copying": "Nearest reference images",
}  # fmt: skip
TOOLTIPS: dict[Metric, str] = {
    "fid": "Fréchet distance between Gaussians fitted to the features. Shifts with the number of images: compare at "
    f"equal numbers, 10,000 or more. {_LOWER}",
    "sfid": f"The same on a middle layer that keeps places: whether things are where they belong. {_LOWER}",
    "fid-infinity": "The distance that unlimited images would have, by a line over 1/N. Needs many images. "
    "Lower is better.",
    "kid": "Kernel distance over all pairs, without bias: holds for few images, too, and may be slightly below 0. "
    f"{_LOWER}",
    "kid-subsets": f"The kernel distance as papers print it, a mean over subsets of 1,000; needs more images. {_LOWER}",
    "mmd": "Kernel distance whose width is the reference's median distance; without bias, may be slightly below 0. "
    f"{_LOWER}",
    "cmmd": f"The distance of CLIP features as published: σ = 10, times 1,000. {_LOWER}",
    "precision": f"Share of the generated images that lie among the real ones: quality. From 0 to 1. {_HIGHER}",
    "recall": f"Share of the real images that lie among the generated ones: variety. From 0 to 1. {_HIGHER}",
    "density": f"How many real neighbourhoods a generated image lies in, on average: quality. {_HIGHER}",
    "coverage": f"Share of the real images with a generated one nearby: variety. From 0 to 1. {_HIGHER}",
    "is": "Inception Score: sure and various labels of ImageNet; says little of other images. Looks at the generated "
    f"images alone. {_HIGHER}",
    "agreement": "Share of the generated images in which a probe fitted on the real ones sees the class asked for. "
    f"Needs classes on both sides. From 0 to 1. {_HIGHER}",
    "copying": "The nearest reference images of each generated one, and the share that is closer than reference "
    "images are to each other. Lower is better.",
}


def metric_title(metric: Metric, extractor: str) -> str:
    """ "FID" of Inception's features, "FD" of others."""
    names = _INCEPTION if extractor == "inception" else _DISTANCES
    return names.get(metric) or _OTHERS[metric]
