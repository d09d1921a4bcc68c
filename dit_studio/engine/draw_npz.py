"""The job that draws straight into an NPZ, for as many images as an evaluation needs."""

from collections.abc import Generator
from contextlib import closing
from pathlib import Path
from typing import Any

from dit_studio.engine.export.npz import check_target, open_npz
from dit_studio.engine.sample_checks import check_request, parse_request
from dit_studio.engine.sample_files import drawing_progress
from dit_studio.engine.sampling import Samples
from dit_studio.engine.several_devices import Underway, draw_on, load_several
from dit_studio.errors import ConfigError, Problem
from dit_studio.events import Event, SettingsRefused, Written
from dit_studio.files import naming_disk_errors


def draw_npz(
    model: str, weights: str, request: dict[str, Any], path: str, device: str = "auto", precision: str = "auto"
) -> Generator[Event, None, None]:
    """Draw a request into the NPZ at `path`, on all devices that are named.

    Closed early, it keeps the batches that are finished, beside a file that was there before.
    Raises: CheckpointError, DeviceMemoryError, DiskFullError or RunError.
    """
    file = Path(path)
    try:
        if file.suffix.lower() != ".npz":
            raise ConfigError([Problem("path", f'An NPZ cannot be written to "{path}": its name has to end in .npz.')])
        check_target(file)
        asked = parse_request(request)
        models = yield from load_several(model, weights, device=device, precision=precision)
        config = models[0].loaded.config
        check_request(asked, config)
    except ConfigError as error:
        yield SettingsRefused(problems=tuple((problem.field, problem.message) for problem in error.problems))
        return
    with naming_disk_errors(file):
        file.parent.mkdir(parents=True, exist_ok=True)
    size = (config.image_size, config.image_size)
    with open_npz(file, images=asked.count, size=size) as npz, closing(draw_on(models, asked)) as drawing:
        for done in drawing:
            if isinstance(done, Samples):
                npz.add(done.images.permute(0, 2, 3, 1).numpy(), list(done.labels))
            else:
                yield drawing_progress(done, asked.count) if isinstance(done, Underway) else done
    yield Written(file=path, size_bytes=file.stat().st_size, images=asked.count)
