"""The same scenes drawn by VTK and SimpleITK, and a verdict that leaves both pictures behind when they differ."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813  (its own documentation's name)
import vtk
from numpy.typing import NDArray
from PIL import Image
from skimage.metrics import structural_similarity
from vtk.util import numpy_support

from render import Plane, TransferFunction, View, Volume, VolumeRendering
from render.engine.vtk import device, image_and_matrix, scene

# Without any OpenGL library VTK crashes the process that opens a window.
needs_opengl = pytest.mark.skipif(not device(), reason="this machine has no OpenGL (EGL with Mesa would do)")


def camera(renderer: Any, plane: Plane, view: View, rows: int, columns: int) -> None:
    """Parallel projection that looks at the plane from the view."""
    centre = np.array(plane.at((rows - 1) / 2.0, (columns - 1) / 2.0))
    eye = renderer.GetActiveCamera()
    eye.ParallelProjectionOn()
    eye.SetFocalPoint(*centre)
    eye.SetPosition(*(centre + 500.0 * np.array(view.towards_observer)))
    eye.SetViewUp(*view.up)
    eye.SetParallelScale(rows * plane.pixel_spacing_mm[0] / 2.0)
    eye.SetClippingRange(1.0, 1000.0)


def fixed_point(volume: Volume, transfer: TransferFunction | None, step_mm: float, shown: tuple[float, float]) -> Any:
    """A vtkRenderer with the volume: shaded like the transfer function, or for None its maximum, black to white over
    the range `shown`."""
    image, matrix = image_and_matrix(volume)
    mapper = vtk.vtkFixedPointVolumeRayCastMapper()
    mapper.SetInputData(image)
    mapper.SetSampleDistance(step_mm)
    mapper.SetAutoAdjustSampleDistances(0)
    mapper.SetInteractiveSampleDistance(step_mm)
    mapper.SetImageSampleDistance(1.0)
    colour, opacity = vtk.vtkColorTransferFunction(), vtk.vtkPiecewiseFunction()
    actor = vtk.vtkVolume()
    settings = actor.GetProperty()
    settings.SetInterpolationTypeToLinear()
    if transfer is None:
        mapper.SetBlendModeToMaximumIntensity()
        for value, level in ((shown[0], 0.0), (shown[1], 1.0)):
            colour.AddRGBPoint(value, level, level, level)
            opacity.AddPoint(value, 1.0)
    else:
        for p in transfer.points:
            colour.AddRGBPoint(p.value, p.red, p.green, p.blue)
            opacity.AddPoint(p.value, p.opacity)
        settings.SetScalarOpacityUnitDistance(transfer.opacity_unit_mm)
        if transfer.shading is not None:
            settings.ShadeOn()
            settings.SetAmbient(transfer.shading.ambient)
            settings.SetDiffuse(transfer.shading.diffuse)
            settings.SetSpecular(transfer.shading.specular)
            settings.SetSpecularPower(transfer.shading.specular_power)
    settings.SetColor(colour)
    settings.SetScalarOpacity(opacity)
    actor.SetMapper(mapper)
    actor.SetUserMatrix(matrix)
    renderer = vtk.vtkRenderer()
    renderer.AddVolume(actor)
    # A light of its own: the automatic one has no ambient part.
    light = vtk.vtkLight()
    light.SetLightTypeToHeadlight()
    light.SetAmbientColor(1.0, 1.0, 1.0)
    renderer.AddLight(light)
    return renderer


def gpu(volume: Volume, recipe: VolumeRendering) -> Any:
    """A vtkRenderer with the volume as our own vtk engine puts it there, on whatever OpenGL there is."""
    return scene(volume, recipe, recipe.step_voxels * min(volume.spacing_mm))


def _axes(planes: Sequence[Plane]) -> tuple[NDArray[np.float64], tuple[float, float, float]]:
    """(3, 3) unit right, down, away as columns, and the spacing along each, of parallel planes."""
    first = planes[0]
    right, down = (np.array(v) / np.linalg.norm(v) for v in (first.right_mm, first.down_mm))
    gap = float(np.linalg.norm(np.array(planes[-1].origin_mm) - first.origin_mm)) / max(len(planes) - 1, 1)
    row_mm, column_mm = first.pixel_spacing_mm
    return np.stack([right, down, np.cross(right, down)], axis=1), (column_mm, row_mm, gap or 1.0)


def _reslice(volume: Volume, planes: Sequence[Plane], rows: int, columns: int) -> Any:
    """A vtkImageReslice of parallel planes, linear. No sheared affine: vtk's axes are orthonormal."""
    image, matrix = image_and_matrix(volume)
    directions, spacing = _axes(planes)
    axes, inverse = vtk.vtkMatrix4x4(), vtk.vtkMatrix4x4()
    for row in range(3):
        for column in range(3):
            axes.SetElement(row, column, float(directions[row, column]))
        axes.SetElement(row, 3, planes[0].origin_mm[row])
    vtk.vtkMatrix4x4.Invert(matrix, inverse)
    vtk.vtkMatrix4x4.Multiply4x4(inverse, axes, axes)
    reslice = vtk.vtkImageReslice()
    reslice.SetInputData(image)
    reslice.SetResliceAxes(axes)
    reslice.SetOutputSpacing(*spacing)
    reslice.SetOutputOrigin(0.0, 0.0, 0.0)
    reslice.SetOutputExtent(0, columns - 1, 0, rows - 1, 0, len(planes) - 1)
    reslice.SetInterpolationModeToLinear()
    reslice.SetBackgroundLevel(-1000.0)
    return reslice


def _drawn(reslice: Any) -> NDArray[np.int16]:
    reslice.Modified()
    reslice.Update()
    image = reslice.GetOutput()
    values = numpy_support.vtk_to_numpy(image.GetPointData().GetScalars())
    return np.asarray(values.reshape(image.GetDimensions()[::-1]))


def vtk_stack(volume: Volume, planes: Sequence[Plane], rows: int, columns: int) -> Callable[[], NDArray[np.int16]]:
    """Draws (F, rows, columns) by vtkImageReslice."""
    reslice = _reslice(volume, planes, rows, columns)
    return lambda: _drawn(reslice)


def vtk_slab(
    volume: Volume, plane: Plane, rows: int, columns: int, samples: int, gap_mm: float
) -> Callable[[], NDArray[np.int16]]:
    """Draws (1, rows, columns): the maximum of `samples` planes, `gap_mm` apart about this one, by vtkImageReslice."""
    reslice = _reslice(volume, [plane], rows, columns)
    reslice.SetSlabModeToMax()
    reslice.SetSlabNumberOfSlices(samples)
    reslice.SetSlabSliceSpacingFraction(gap_mm)  # of an output spacing of 1 mm through the plane
    return lambda: _drawn(reslice)


def sitk_stack(
    volume: Volume, planes: Sequence[Plane], rows: int, columns: int, interpolator: int = sitk.sitkLinear
) -> Callable[[], NDArray[np.int16]]:
    """Draws (F, rows, columns) by SimpleITK, linear unless told otherwise; any affine, by way of a transform."""
    image = sitk.GetImageFromArray(np.asarray(volume.voxels))
    # The image stays in index space (x, y, z = i, j, k); the transform takes LPS mm there.
    to_index = np.linalg.inv(volume.affine)[[2, 1, 0]]
    transform = sitk.AffineTransform(3)
    transform.SetMatrix(to_index[:, :3].ravel().tolist())
    transform.SetTranslation(to_index[:, 3].tolist())
    directions, spacing = _axes(planes)
    resample = sitk.ResampleImageFilter()
    resample.SetSize((columns, rows, len(planes)))
    resample.SetOutputOrigin(planes[0].origin_mm)
    resample.SetOutputSpacing(spacing)
    resample.SetOutputDirection(directions.ravel().tolist())
    resample.SetTransform(transform)
    resample.SetInterpolator(interpolator)
    resample.SetDefaultPixelValue(-1000.0)
    return lambda: np.asarray(sitk.GetArrayFromImage(resample.Execute(image)))


def inside_mask(volume: Volume, plane: Plane, rows: int, columns: int) -> NDArray[np.bool_]:
    """(rows, columns) pixels whose eight voxels all exist, where interpolators have no choice about the border."""
    row, column = np.indices((rows, columns))
    at = np.array(plane.origin_mm)[:, None, None]
    at = at + np.multiply.outer(plane.down_mm, row) + np.multiply.outer(plane.right_mm, column)
    to_index = np.linalg.inv(volume.affine)
    index = np.einsum("ab,brc->arc", to_index[:3, :3], at) + to_index[:3, 3][:, None, None]
    limits = np.array(volume.shape)[:, None, None] - 1.0
    return np.asarray(((index >= 0.0) & (index <= limits)).all(axis=0))


def alike(ours: NDArray[np.uint8], theirs: NDArray[np.uint8], folder: Path, name: str) -> tuple[float, float]:
    """(mean absolute difference of 0…255, structural similarity); both pictures are written to the folder."""
    for who, pixels in (("ours", ours), ("theirs", theirs)):
        Image.fromarray(pixels).save(folder / f"{name}_{who}.png")
    axis = -1 if ours.ndim == 3 else None
    difference = float(np.abs(ours.astype(float) - theirs.astype(float)).mean())
    return difference, float(structural_similarity(ours, theirs, channel_axis=axis))
