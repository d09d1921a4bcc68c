"""What a request costs, in words: passes through the model, and the bytes of its trajectory."""

from dit_studio.events import SampleModel
from dit_studio.sample_request import SampleOptions
from dit_studio.ui.train.amounts import count, counted, memory


def is_guided(options: SampleOptions) -> bool:
    """Two predictions are mixed: 1 is no guidance, and 0 is without the class, either of which is one pass."""
    return options.cfg not in (0.0, 1.0)


def evaluations(options: SampleOptions) -> int:
    """Steps of the model for one image; Heun looks twice at each but the last."""
    return 2 * options.steps - 1 if options.sampler == "heun" else options.steps


def passes(options: SampleOptions) -> int:
    """Forward passes of one image through the model, at most: an interval of guidance saves some."""
    return options.count * evaluations(options) * (2 if is_guided(options) else 1)


def passes_line(options: SampleOptions) -> str:
    """ "4 images × 50 steps × 2 (guidance) = 400 passes"."""
    factors = [counted(options.count, "image"), counted(evaluations(options), "step")]
    if options.sampler == "heun":
        factors[1] = f"{count(evaluations(options))} evaluations"
    if is_guided(options):
        factors.append("2 (guidance)")
    has_interval = is_guided(options) and (options.cfg_from > 0 or options.cfg_to is not None)
    about = "at most " if has_interval else ""
    return f"{' × '.join(factors)} = {about}{counted(passes(options), 'pass', 'passes')}"


def trajectory_bytes(options: SampleOptions, model: SampleModel) -> int:
    """What the whole trajectory takes: x_t as float32, x̂₀ as bytes, and with guidance both of its halves."""
    numbers = (model.latent_size or model.image_size) ** 2
    planes, colours = 3 if is_guided(options) else 1, 3 if model.latent_size else model.channels
    return options.count * options.steps * numbers * (4 * model.channels + planes * colours)


def trajectory_line(options: SampleOptions, model: SampleModel) -> str:
    return f"trajectory ≈ {memory(trajectory_bytes(options, model))}"
