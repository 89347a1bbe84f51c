"""Kernels that work at reduced resolution: means of blocks, sums and distances within a short reach, holes of slices,
and the way back to the volume's own grid. Each writes the same bytes on any number of threads."""

from typing import Any

import numpy as np

from render.engine.cpu.jit import kernel


@kernel
def block_means(voxels: Any, fk: int, fj: int, fi: int, share: Any, k0: int, k1: int, total: Any) -> None:
    """Writes the means of blocks of fk, fj, fi voxels in block slices k0…k1−1. share : float32, the number of voxels of
    a block. total : float32, as many blocks as are whole."""
    for k in range(k0, k1):
        for j in range(total.shape[1]):
            for i in range(total.shape[2]):
                total[k, j, i] = np.float32(0.0)
            for a in range(fk):
                for b in range(fj):
                    for c in range(fi):
                        for i in range(total.shape[2]):
                            total[k, j, i] += np.float32(voxels[k * fk + a, j * fj + b, i * fi + c])
            for i in range(total.shape[2]):
                total[k, j, i] = total[k, j, i] / share


@kernel
def whole_means(voxels: Any, fk: int, fj: int, fi: int, far: int, sums: Any, means: Any) -> None:
    """Writes the means of blocks of fk, fj, fi whole numbers, rounded down, at most `far` on either side of 0.

    sums : int64, scratch for a row of blocks. means : int16, as many blocks as are whole.
    """
    count = fk * fj * fi
    nk, nj, ni = means.shape
    for k in range(nk):
        for j in range(nj):
            for i in range(ni):
                sums[i] = 0
            for a in range(fk):
                for b in range(fj):
                    for i in range(ni):
                        for c in range(fi):
                            sums[i] += np.int64(voxels[k * fk + a, j * fj + b, i * fi + c])
            for i in range(ni):
                means[k, j, i] = min(max(sums[i] // count, -far), far)


@kernel
def even_blocks(blocks: Any, most: int, k0: int, k1: int, columns: Any, rows: Any, even: Any) -> None:
    """Writes for slices k0…k1−1 whether 27 · Σv² − (Σv)² over a block and its 26 neighbours is at most `most`. The last
    block at an end counts for what lies beyond it.

    columns, rows : (2, J, I) int64, scratch: sums of values and of squares over three slices, then over three columns
    of them.
    """
    nk, nj, ni = blocks.shape
    for k in range(k0, k1):
        before, after = max(k - 1, 0), min(k + 1, nk - 1)
        for j in range(nj):
            for i in range(ni):
                a, b, c = np.int64(blocks[before, j, i]), np.int64(blocks[k, j, i]), np.int64(blocks[after, j, i])
                columns[0, j, i] = a + b + c
                columns[1, j, i] = a * a + b * b + c * c
            for n in range(2):
                for i in range(ni):
                    rows[n, j, i] = columns[n, j, max(i - 1, 0)] + columns[n, j, i] + columns[n, j, min(i + 1, ni - 1)]
        for j in range(nj):
            above, below = max(j - 1, 0), min(j + 1, nj - 1)
            for i in range(ni):
                total = rows[0, above, i] + rows[0, j, i] + rows[0, below, i]
                squares = rows[1, above, i] + rows[1, j, i] + rows[1, below, i]
                even[k, j, i] = 27 * squares - total * total <= most


@kernel
def by_blocks(
    voxels: Any, codes: Any, fk: int, fj: int, fi: int, low: Any, high: Any, k0: int, k1: int, out: Any
) -> None:
    """Writes for the voxels of slices k0…k1−1, by the code of their block: 0 for code 0, 1 for code 2, and for code 1
    whether the value lies from low to high, both included. The far ends take the last block's code."""
    nk, nj, ni = codes.shape
    for k in range(k0, k1):
        bk = min(k // fk, nk - 1)
        for j in range(out.shape[1]):
            bj = min(j // fj, nj - 1)
            for bi in range(ni):
                code = codes[bk, bj, bi]
                last = (bi + 1) * fi if bi + 1 < ni else out.shape[2]
                if code == 1:
                    for i in range(bi * fi, last):
                        v = np.float32(voxels[k, j, i])
                        out[k, j, i] = 1 if (v >= low) & (v <= high) else 0
                else:
                    for i in range(bi * fi, last):
                        out[k, j, i] = code >> 1


@kernel
def enlarge(codes: Any, fk: int, fj: int, fi: int, k0: int, k1: int, out: Any) -> None:
    """Writes for the voxels of slices k0…k1−1 the value of their block; the far ends take the last block's."""
    nk, nj, ni = codes.shape
    for k in range(k0, k1):
        bk = min(k // fk, nk - 1)
        for j in range(out.shape[1]):
            bj = min(j // fj, nj - 1)
            for bi in range(ni):
                code = codes[bk, bj, bi]
                for i in range(bi * fi, (bi + 1) * fi if bi + 1 < ni else out.shape[2]):
                    out[k, j, i] = code


@kernel
def _pieces_of_line(line: Any, square: Any, most: Any, near: Any, far: Any) -> None:
    """Writes for each 32 distances of a line whether any matters to its neighbours, and whether any is so large that
    such a neighbour may shorten it."""
    for piece in range(len(near)):
        first, last = piece * 32, min(piece * 32 + 32, len(line))
        least, greatest = line[first], line[first]
        for b in range(first, last):
            least = line[b] if line[b] < least else least
            greatest = line[b] if line[b] > greatest else greatest
        near[piece], far[piece] = least <= most, greatest > square


@kernel
def _shorten(line: Any, other: Any, more: Any, near: Any, far: Any) -> None:
    """Shortens the distances of a line by those of another, `more` mm² away."""
    for piece in range(len(near)):
        if near[piece] & far[piece]:
            for b in range(piece * 32, min(piece * 32 + 32, len(line))):
                v = np.float32(more + np.float64(other[b]))
                line[b] = v if v < line[b] else line[b]


@kernel
def near_along(
    squares: Any, axis: int, square: Any, reach: int, most: Any, a0: int, a1: int, near: Any, out: Any
) -> None:
    """Adds an axis, 0 or 1, to squared distances that matter within a reach alone: for rows a0…a1−1 of the other of the
    two, the least within `reach` steps. What is farther away than `most`, mm², stays farther.

    squares, out : (K, J, I) float32, in the order of C. square : mm² of one step. near : (2, N, I / 32 rounded up)
    uint8, scratch; N steps along the axis. As `distances.across_lines`, which is quicker where the reach is long, to
    the last bit.
    """
    count = squares.shape[axis]
    for a in range(a0, a1):
        for n in range(count):
            _pieces_of_line(squares[n, a] if axis == 0 else squares[a, n], square, most, near[0, n], near[1, n])
        for n in range(count):
            line = out[n, a] if axis == 0 else out[a, n]
            own = squares[n, a] if axis == 0 else squares[a, n]
            for i in range(len(line)):
                line[i] = own[i]
            for d in range(1, reach + 1):
                for other in range(n - d, n + d + 1, 2 * d):
                    if 0 <= other < count:
                        from_line = squares[other, a] if axis == 0 else squares[a, other]
                        _shorten(line, from_line, square * np.float64(d) * np.float64(d), near[0, other], near[1, n])


@kernel
def near_within(
    squares: Any, square: Any, reach: int, most: Any, limit: Any, j0: int, j1: int, near: Any, line: Any, inside: Any
) -> None:
    """Writes 1 where the distance is at most `limit`, mm², else 0, as `near_along` would find it along the first axis,
    for rows j0…j1−1 of the second. line : (I,) float32, scratch. inside : (K, J, I) uint8."""
    count = len(squares)
    for j in range(j0, j1):
        for n in range(count):
            _pieces_of_line(squares[n, j], square, most, near[0, n], near[1, n])
        for n in range(count):
            for i in range(len(line)):
                line[i] = squares[n, j, i]
            for d in range(1, reach + 1):
                for other in range(n - d, n + d + 1, 2 * d):
                    if 0 <= other < count:
                        _shorten(
                            line, squares[other, j], square * np.float64(d) * np.float64(d), near[0, other], near[1, n]
                        )
            for i in range(len(line)):
                inside[n, j, i] = 1 if line[i] <= limit else 0


@kernel
def unevenness(values: Any, k0: int, k1: int, total: Any, squares: Any, out: Any) -> None:
    """Writes the standard deviation of the 27 values about each voxel of slices k0…k1−1; beyond the ends of the grid
    its last values count again. total, squares : (I,) float64, scratch. out : float32."""
    nk, nj, ni = values.shape
    for k in range(k0, k1):
        for j in range(nj):
            for i in range(ni):
                total[i] = 0.0
                squares[i] = 0.0
            for a in range(-1, 2):
                for b in range(-1, 2):
                    row, column = min(max(k + a, 0), nk - 1), min(max(j + b, 0), nj - 1)
                    for i in range(ni):
                        v = np.float64(values[row, column, i])
                        total[i] += v
                        squares[i] += v * v
            for i in range(ni):
                left, right = max(i - 1, 0), min(i + 1, ni - 1)
                mean = (total[left] + total[i] + total[right]) / 27.0
                square = (squares[left] + squares[i] + squares[right]) / 27.0 - mean * mean
                out[k, j, i] = np.float32(np.sqrt(max(square, 0.0)))


@kernel
def sums_along(counts: Any, half: int, a0: int, a1: int, line: Any, out: Any) -> None:
    """Writes the sums of 2 · half + 1 counts along the second axis, for rows a0…a1−1 of the first; beyond the ends the
    line is mirrored. counts, out : (A, N, B) int16 views. line : (B,) int16, scratch."""
    count, width = counts.shape[1], counts.shape[2]
    for a in range(a0, a1):
        for b in range(width):
            line[b] = 0
        for n in range(-half, half + 1):
            at = min(max(n if n >= 0 else -n - 1, 0), count - 1)
            for b in range(width):
                line[b] += counts[a, at, b]
        for n in range(count):
            for b in range(width):
                out[a, n, b] = line[b]
            first, after = n - half, n + half + 1
            first = first if first >= 0 else min(-first - 1, count - 1)
            after = after if after < count else max(2 * count - after - 1, 0)
            for b in range(width):
                line[b] += counts[a, after, b] - counts[a, first, b]


@kernel
def _root(parents: Any, n: int) -> int:
    while parents[n] != n:
        parents[n] = parents[parents[n]]
        n = parents[n]
    return n


@kernel
def fill_slices(region: Any, k0: int, k1: int, runs: Any, parents: Any, out: Any) -> None:
    """Writes the region of slices k0…k1−1 with the holes filled that no way by faces within the slice leads out of.

    runs : (N, 3) int32 and parents : (N,) int32, scratch for the gaps of a slice, J · (I // 2 + 1) + 1 at most.
    """
    nj, ni = region.shape[1], region.shape[2]
    for k in range(k0, k1):
        # Gap 0 stands for all that lies outside.
        parents[0] = 0
        count, above, above_end = 1, 1, 1
        for j in range(nj):
            first = count
            i = 0
            while i < ni:
                if region[k, j, i] != 0:
                    out[k, j, i] = 1
                    i += 1
                    continue
                start = i
                while i < ni and region[k, j, i] == 0:
                    out[k, j, i] = 0
                    i += 1
                runs[count, 0], runs[count, 1], runs[count, 2] = j, start, i
                parents[count] = 0 if j == 0 or j == nj - 1 or start == 0 or i == ni else count
                while above < above_end and runs[above, 2] <= start:
                    above += 1
                other = above
                while other < above_end and runs[other, 1] < i:
                    p, q = _root(parents, count), _root(parents, other)
                    parents[max(p, q)] = min(p, q)
                    other += 1
                count += 1
            above, above_end = first, count
        for n in range(1, count):
            if _root(parents, n) != 0:
                for i in range(runs[n, 1], runs[n, 2]):
                    out[k, runs[n, 0], i] = 1


@kernel
def count_in_runs(runs: Any, region: Any, counts: Any) -> None:
    """Writes how many voxels of a region that are not 0 each run holds. runs : (N, 4), see `body.body_runs`."""
    for n in range(runs.shape[0]):
        count = 0
        for i in range(runs[n, 2], runs[n, 3]):
            count += 1 if region[runs[n, 0], runs[n, 1], i] != 0 else 0
        counts[n] = count
