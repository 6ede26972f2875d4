"""Pictures inside a page, as data URIs."""

import base64
import io
import tempfile
from pathlib import Path
from typing import Any


def data_uri(content: bytes, kind: str) -> str:
    """Return the content of an image file as a data URI; the kind is png or gif."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def image_uri(picture: Any) -> str:
    """Return a figure of matplotlib as a PNG, or an animation as a GIF."""
    from matplotlib.animation import Animation

    if isinstance(picture, Animation):
        with tempfile.TemporaryDirectory() as folder:
            picture.save(Path(folder) / "moving.gif", writer="pillow")
            return data_uri((Path(folder) / "moving.gif").read_bytes(), "gif")
    content = io.BytesIO()
    picture.savefig(content, format="png")
    return data_uri(content.getvalue(), "png")
