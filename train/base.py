"""An adapted teacher, for a network to be built on."""

from __future__ import annotations

import keras

from serve.audio.frontend import FrontEnd
from train.errors import DataError
from train.pinned import Pinned
from train.warp import Warp


def load(pinned: Pinned, front_end: FrontEnd) -> keras.Model:
    """The network from `mel` (n, frames, mel bands) power to embedding (n, features).

    Raises DataError where the file has changed, is no adapted teacher, or of another front end.
    """
    path = pinned.path()
    try:
        model = keras.models.load_model(path, compile=False)
    except (OSError, ValueError, TypeError) as error:
        raise DataError(f"{path} is no Keras model: {error}") from error
    warp = next((layer for layer in model.layers if isinstance(layer, Warp)), None)
    if warp is None:
        raise DataError(f"{path} is no adapted teacher: make one with `adapt`")
    if warp.front_end != front_end:
        raise DataError(f"{path} was adapted to another front end")
    return model
