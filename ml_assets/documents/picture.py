"""Pictures as arrays of grey values: PNG, JPEG and the pages of a TIFF."""

import io
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ml_assets.documents.document import ReadingLimits, UnreadableError, too_many

if TYPE_CHECKING:
    from PIL import Image

Grey = NDArray[np.uint8]  # [height, width], 0 = black

_FORMATS = ("PNG", "JPEG", "TIFF")  # no other decoder of Pillow's is ever fed
_BOMB = 500  # pixels for a byte of the file: a page of text in the coding of a fax has about 300


def frames(content: bytes, name: str, limits: ReadingLimits) -> int:
    """How many pages a picture has: more than one only in a TIFF.

    Raises:
        UnreadableError: `damaged`, or `too-many-pages`.
    """
    with _opened(content, name, limits) as image:
        count = int(getattr(image, "n_frames", 1)) if image.format == "TIFF" else 1
    if count > limits.pages:
        raise too_many(count, name, limits)
    return count


def pictures(content: bytes, name: str, limits: ReadingLimits) -> Iterator[Grey]:
    """Each page of a picture, as it is meant to be seen.

    Raises:
        UnreadableError: `damaged`, `too-many-pixels` or `bomb`, before a pixel is decoded.
    """
    count = frames(content, name, limits)
    with _opened(content, name, limits) as image:
        for number in range(count):
            image.seek(number)
            require_pixels(*image.size, len(content), name, limits)
            yield _grey(image)


def require_pixels(width: int, height: int, size: int, name: str, limits: ReadingLimits) -> None:
    """Refuse a picture that is too large to decode.

    Args:
        width: in pixels.
        height: in pixels.
        size: of the file, in bytes.
        name: of the file, for the message.
        limits: on pixels.

    Raises:
        UnreadableError: `bomb` where `size` bytes could hardly hold such a picture, else `too-many-pixels`.
    """
    pixels = width * height
    if pixels <= limits.pixels:
        return
    raise UnreadableError(
        "bomb" if pixels > _BOMB * size else "too-many-pixels",
        f"{name} holds a picture of {width:,} × {height:,} pixels, more than {limits.pixels:,}: "
        "scan it with 200 to 300 dots an inch, or raise Limits.pixels",
    )


def _opened(content: bytes, name: str, limits: ReadingLimits) -> "Image.Image":
    from PIL import Image

    with warnings.catch_warnings():
        # Pillow's own limit warns at 89 million pixels; ours is checked by `require_pixels`.
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        try:
            image = Image.open(io.BytesIO(content), formats=_FORMATS)
        except Image.DecompressionBombError as error:
            raise UnreadableError("bomb", f"{name}: {error}: scan it with 200 to 300 dots an inch") from error
    require_pixels(*image.size, len(content), name, limits)
    return image


def _grey(image: "Image.Image") -> Grey:
    from PIL import Image, ImageOps

    image = ImageOps.exif_transpose(image)
    if image.mode.startswith(("I", "F")):  # 16 or 32 bits: Pillow would clip to 255, not scale
        return _scaled(np.asarray(image, dtype=np.float32))
    if "transparency" in image.info or image.mode in {"LA", "PA", "RGBA", "La", "RGBa"}:
        picture = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    return np.asarray(image.convert("L"))


def _scaled(values: NDArray[np.float32]) -> Grey:
    low, high = float(values.min()), float(values.max())
    return ((values - low) * (255 / max(high - low, 1e-9))).astype(np.uint8)
