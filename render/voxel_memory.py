"""Memory of voxels, of which a copy takes only what is changed in it.

A volume without its table differs from the volume in a few places, and both are needed while a study is read. On Linux
large voxels lie in an anonymous file in memory, and a copy is a private map of it: the kernel copies a page when it is
first written to. Elsewhere, and where that is refused, copies are whole ones. The values are the same either way.
"""

import mmap
import os
import sys
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

# Below it a copy costs nothing that anybody notices.
_LARGE = 8 << 20


class _Shared(mmap.mmap):
    """A map of a file in memory that can be mapped again."""

    descriptor: int

    def __del__(self) -> None:
        os.close(self.descriptor)


def new_voxels(shape: tuple[int, int, int], dtype: DTypeLike) -> NDArray[Any]:
    """Returns an array (K, J, I) with any values.

    Raises MemoryError.
    """
    size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
    if sys.platform == "linux" and size >= _LARGE:
        try:
            descriptor = os.memfd_create("voxels")
        except OSError:
            return np.empty(shape, dtype)
        try:
            os.ftruncate(descriptor, size)
            memory = _Shared(descriptor, size)
        except OSError:
            os.close(descriptor)
            return np.empty(shape, dtype)
        memory.descriptor = descriptor
        return np.frombuffer(memory, dtype).reshape(shape)
    return np.empty(shape, dtype)


def copy_to_change(voxels: NDArray[Any]) -> NDArray[Any]:
    """Returns a copy that can be written to. The voxels must not be written to any more.

    Raises MemoryError.
    """
    owner = voxels.base
    while isinstance(owner, np.ndarray):
        owner = owner.base
    memory = owner.obj if isinstance(owner, memoryview) else owner
    if isinstance(memory, _Shared) and voxels.nbytes == len(memory) and voxels.flags.c_contiguous:
        try:
            private = mmap.mmap(memory.descriptor, voxels.nbytes, access=mmap.ACCESS_COPY)
        except OSError:
            return voxels.copy()
        return np.frombuffer(private, voxels.dtype).reshape(voxels.shape)
    return voxels.copy()
