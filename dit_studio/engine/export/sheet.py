"""An evolution sheet as a PNG, or as a PDF with letters that stay letters and pixels that stay pixels."""

import io
from collections.abc import Iterator

from PIL import Image, ImageDraw

from dit_studio.engine.export.film import Film, Pixels
from dit_studio.engine.export.png import png_info
from dit_studio.engine.export.sheet_layout import Cell, SheetLayout, font, font_file
from dit_studio.errors import DataError

_INK, _MUTED = "#000000", "#5A5A5A"
_ANCHORS = {"left": "lm", "middle": "mm", "right": "rm"}
_POINTS = 0.75  # a pixel of 1/96 inch
_MOST_PIXELS = 200_000_000


def pictures(film: Film, layout: SheetLayout, plane: str) -> Iterator[tuple[Cell, Pixels]]:
    """The cells and what they show."""
    for cell in layout.cells:
        yield cell, film.frame(plane, cell.image, cell.step)


def encode_sheet_png(film: Film, layout: SheetLayout, plane: str, *, image: int | None = None) -> bytes:
    """With the settings inside of all images, or of one. Raises: DataError if the picture would be too large."""
    if (pixels := layout.width * layout.height) > _MOST_PIXELS:
        raise DataError(
            f"The sheet would have {pixels / 1e6:,.0f} million pixels: {_MOST_PIXELS / 1e6:.0f} million are the most.",
            remedy="Take smaller cells, or write a PDF, which keeps images as they are.",
        )
    sheet = Image.new("RGB", (layout.width, layout.height), "white")
    for cell, shown in pictures(film, layout, plane):
        sheet.paste(resized(shown, layout.cell), (cell.x, cell.y))
    pen = ImageDraw.Draw(sheet)
    for text in layout.texts:
        fill = _MUTED if text.is_muted else _INK
        pen.text((text.x, text.y), text.words, fill=fill, font=font(text.size), anchor=_ANCHORS[text.align])
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG", pnginfo=png_info(film.images.record, image), dpi=(96, 96))
    return buffer.getvalue()


def encode_sheet_pdf(film: Film, layout: SheetLayout, plane: str) -> bytes:
    from reportlab.lib.utils import ImageReader
    from reportlab.pdfbase.pdfmetrics import registerFont
    from reportlab.pdfbase.ttfonts import TTFont
    from reportlab.pdfgen.canvas import Canvas

    registerFont(TTFont("DejaVuSans", font_file()))
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=(layout.width * _POINTS, layout.height * _POINTS), pageCompression=1)
    canvas.setTitle(f"{film.images.record.model.name} {film.images.folder.name}".strip())
    canvas.setCreator(f"DiT Studio {film.images.record.studio_version}".strip())
    canvas.scale(_POINTS, _POINTS)
    for cell, shown in pictures(film, layout, plane):
        reader = ImageReader(Image.fromarray(shown))
        canvas.drawImage(reader, cell.x, layout.height - cell.y - layout.cell, layout.cell, layout.cell)
    for text in layout.texts:
        canvas.setFillColor(_MUTED if text.is_muted else _INK)
        canvas.setFont("DejaVuSans", text.size)
        draw = {"left": canvas.drawString, "middle": canvas.drawCentredString, "right": canvas.drawRightString}
        draw[text.align](text.x, layout.height - text.y - text.size * 0.36, text.words)  # from the middle to the base
    canvas.save()
    return buffer.getvalue()


def resized(pixels: Pixels, side: int) -> Image.Image:
    """A picture of this side: its pixels as even squares where it grows, averaged where it shrinks."""
    picture = Image.fromarray(pixels)
    factor = -(-side // picture.width)
    if factor > 1:
        picture = picture.resize((picture.width * factor, picture.height * factor), Image.Resampling.NEAREST)
    if picture.size == (side, side):
        return picture
    return picture.resize((side, side), Image.Resampling.BOX)
