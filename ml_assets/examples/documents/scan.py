"""Scans: a page is rendered, then spoiled as scanners, copiers and people spoil it."""

from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from ml_assets.errors import DataError
from ml_assets.examples.documents.dice import Dice

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

ScanFormat = Literal["pdf", "png", "jpeg", "tiff"]
FORMATS: tuple[ScanFormat, ...] = get_args(ScanFormat)
_PAPER = 248  # the grey of clean paper


@dataclass(frozen=True)
class Noise:
    """How a page is spoiled.

    Args:
        dpi: dots an inch, 150 to 300.
        blur: radius of a Gaussian, in pixels at 200 dpi.
        skew: degrees, counter-clockwise.
        speckle: share of pixels that turn black or white.
        grain: standard deviation of the grey of a pixel, of 255.
        contrast: what is left of the distance between ink and paper.
        shadow: how much darker the edge is, from 0 to 1.
        quality: of the JPEG compression.
        turned: degrees clockwise by which the page lies wrong: 0, 90, 180, 270.
    """

    dpi: int
    blur: float
    skew: float
    speckle: float
    grain: float
    contrast: float
    shadow: float
    quality: int
    turned: int

    @classmethod
    def of(cls, seed: int | tuple[int, ...]) -> "Noise":
        """The noise of a seed: most scans are fair, some are bad; one in eight lies on its side or head."""
        dice = Dice(*((seed,) if isinstance(seed, int) else seed))
        bad = dice.unit() ** 2
        return cls(
            dpi=dice.pick((150, 200, 200, 200, 300)),
            blur=round(1.1 * bad * dice.unit(), 2),
            skew=round(dice.unit() * 6 - 3, 2) if dice.chance(0.6) else 0.0,
            speckle=round(0.004 * bad * dice.unit(), 5),
            grain=round(2 + 12 * bad * dice.unit(), 1),
            contrast=round(1 - 0.6 * bad * dice.unit(), 2),
            shadow=round(0.5 * bad * dice.unit(), 2),
            quality=dice.between(35, 90),
            turned=dice.pick((90, 180, 270)) if dice.chance(0.125) else 0,
        )


CLEAN = Noise(dpi=200, blur=0, skew=0, speckle=0, grain=0, contrast=1, shadow=0, quality=90, turned=0)


def scan(content: bytes, seed: int | tuple[int, ...], form: ScanFormat = "pdf", noise: Noise | None = None) -> bytes:
    """The scan of a PDF, without any text layer.

    Args:
        content: a PDF.
        seed: of the noise.
        form: pdf and tiff hold all pages, png and jpeg one.
        noise: how it is spoiled; otherwise drawn.

    Raises:
        DataError: `form` holds one page, and there are more.
    """
    spoil = noise or Noise.of(seed)
    key = (seed,) if isinstance(seed, int) else seed
    random = np.random.default_rng((*key, 1))
    rendered = _rendered(content, spoil.dpi)
    if form in {"png", "jpeg"} and len(rendered) > 1:
        raise DataError(f"{form} holds one page, the document has {len(rendered)}: choose pdf or tiff")
    pages = [_spoiled(page, spoil, random) for page in rendered]
    return _pdf(pages, spoil) if form == "pdf" else _picture(pages, form, spoil)


def _rendered(content: bytes, dpi: int) -> "list[Image]":
    import pypdfium2

    document = pypdfium2.PdfDocument(content)
    try:
        return [page.render(scale=dpi / 72, grayscale=True).to_pil().convert("L") for page in document]
    finally:
        document.close()


def _spoiled(page: "Image", noise: Noise, random: np.random.Generator) -> "Image":
    from PIL import Image, ImageFilter

    image = page
    if noise.skew:
        image = image.rotate(noise.skew, Image.Resampling.BICUBIC, fillcolor=_PAPER)
    if noise.blur:
        image = image.filter(ImageFilter.GaussianBlur(noise.blur * noise.dpi / 200))
    grey = _shaded(np.asarray(image, dtype=np.float32), noise)
    image = Image.fromarray(_speckled(grey, noise, random))
    return image.rotate(-noise.turned, expand=True) if noise.turned else image


def _shaded(grey: "NDArray[np.float32]", noise: Noise) -> "NDArray[np.float32]":
    """Paler ink, and the shadow of a book's fold or an open lid along the left edge."""
    paper = np.float32(_PAPER)
    pale = paper - (paper - np.minimum(grey, paper)) * np.float32(noise.contrast)
    across = np.linspace(0, 1, grey.shape[1], dtype=np.float32)
    return pale * (1 - np.float32(noise.shadow) * np.exp(-across * 5))


def _speckled(grey: "NDArray[np.float32]", noise: Noise, random: np.random.Generator) -> "NDArray[np.uint8]":
    if noise.grain:
        grey = grey + random.standard_normal(grey.shape, dtype=np.float32) * np.float32(noise.grain)
    spoiled = np.clip(grey, 0, 255).astype(np.uint8)
    count = int(noise.speckle * spoiled.size)
    where = random.integers(0, spoiled.size, count)
    spoiled.reshape(-1)[where] = random.choice(np.array([20, 250], np.uint8), count)
    return spoiled


def _jpeg(image: "Image", noise: Noise) -> bytes:
    content = BytesIO()
    image.save(content, "JPEG", quality=noise.quality, dpi=(noise.dpi, noise.dpi))
    return content.getvalue()


def _picture(pages: "list[Image]", form: ScanFormat, noise: Noise) -> bytes:
    if form == "jpeg":
        return _jpeg(pages[0], noise)
    content = BytesIO()
    if form == "png":
        pages[0].save(content, "PNG", dpi=(noise.dpi, noise.dpi))
    else:
        more = {"save_all": True, "append_images": pages[1:], "compression": "tiff_adobe_deflate"}
        pages[0].save(content, "TIFF", dpi=(noise.dpi, noise.dpi), **more)
    return content.getvalue()


def _pdf(pages: "list[Image]", noise: Noise) -> bytes:
    """A picture a page. Pillow's own PDF would hold the time of day."""
    from reportlab.lib.utils import ImageReader
    from reportlab.pdfgen.canvas import Canvas

    content = BytesIO()
    canvas = Canvas(content, invariant=1)
    for page in pages:
        size = (page.width * 72 / noise.dpi, page.height * 72 / noise.dpi)
        canvas.setPageSize(size)
        canvas.drawImage(ImageReader(BytesIO(_jpeg(page, noise))), 0, 0, *size)
        canvas.showPage()
    canvas.save()
    return content.getvalue()
