"""The cpu engine: our own kernels on tiles of a picture. Same volume, recipe and version: same bytes, everywhere.

Its modules, and with them the compiler of the kernels, are imported at first use (`cpu.frames`), so that a program that
draws nothing does not wait for them. Source: PEP 562.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from render.engine.cpu import blocks, body, distances, frames, segments, ways

__all__ = ["ENGINE_VERSION", "MOST_VOXELS", "blocks", "body", "distances", "frames", "segments", "ways"]

# Raised whenever the bytes of any picture change; part of every picture's provenance.
ENGINE_VERSION = "0.4.0"

# The kernels count voxels in 32 bits.
MOST_VOXELS = 2**31 - 1

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        if name in __all__:
            return import_module(f"{__name__}.{name}")
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
