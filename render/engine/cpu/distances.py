"""Kernels for distances to a region, exact on the grid: one pass for each axis, each over whole lines.

Source: Felzenszwalb and Huttenlocher 2012, 'Distance transforms of sampled functions'.
"""

from typing import Any

import numpy as np

from render.engine.cpu.jit import kernel

FAR = np.float32(1e18)


@kernel
def along_lines(region: Any, wanted: Any, step: Any, k0: int, k1: int, squares: Any) -> None:
    """Writes the squared distance along i, in mm², to the nearest voxel of slices k0…k1−1 with the value `wanted`.

    step : mm from voxel to voxel. squares : (K, J, I) float32.
    """
    far = np.float32(1e18)
    width = region.shape[2]
    for k in range(k0, k1):
        for j in range(region.shape[1]):
            i, last = 0, -1
            while i < width:
                while i < width and region[k, j, i] == wanted:
                    squares[k, j, i] = np.float32(0.0)
                    last = i
                    i += 1
                # A gap without any: its near half counts from the voxel before it, its far half from the one after.
                first = i
                while i < width and region[k, j, i] != wanted:
                    i += 1
                if last < 0 and i == width:
                    for n in range(first, i):
                        squares[k, j, n] = far
                    break
                half = first if last < 0 else i if i == width else first + (i - first + 1) // 2
                for n in range(first, half):
                    d = np.float32(n - last) * step
                    squares[k, j, n] = d * d
                for n in range(half, i):
                    d = np.float32(i - n) * step
                    squares[k, j, n] = d * d


@kernel
def across_lines(squares: Any, square: Any, a0: int, a1: int, line: Any, places: Any, borders: Any) -> None:
    """Adds an axis to squared distances: for rows a0…a1−1 of the first axis, the lower envelope along the second.

    squares : (A, N, B) float32 view, changed. square : mm² of one step along the second axis. line : (N,) float64,
    places : (N,) int64, borders : (N + 1,) float64, scratch.
    """
    count = squares.shape[1]
    for a in range(a0, a1):
        for b in range(squares.shape[2]):
            top = -1
            for n in range(count):
                value = np.float64(squares[a, n, b])
                line[n] = value
                if value >= 1e17:
                    continue
                s = -1e30
                while top >= 0:
                    p = places[top]
                    s = ((value + square * n * n) - (line[p] + square * p * p)) / (2.0 * square * (n - p))
                    if s > borders[top]:
                        break
                    top -= 1
                if top < 0:
                    s = -1e30
                top += 1
                places[top], borders[top] = n, s
            if top < 0:
                continue
            at = 0
            for n in range(count):
                while at < top and borders[at + 1] < n:
                    at += 1
                d = np.float64(n - places[at])
                squares[a, n, b] = np.float32(square * d * d + line[places[at]])
