"""Volume renderings by vtkGPUVolumeRayCastMapper, on machines with a graphics processor.

Software OpenGL does not count as one: it is many times slower than the cpu engine. Never set a direction matrix on the
image: GPU mappers draw nothing for a left-handed one. Spacing is in the image, everything else in the actor's
UserMatrix. VTK is imported only when this engine is used; that takes a second.
"""

import subprocess
import sys
import threading
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from render.engine import cpu, framing
from render.engine.tiles import Cancelled
from render.geometry import Affine, Plane, View
from render.progress import PartDone
from render.recipe import TransferFunction, VolumeRendering
from render.volume import Volume

_SOFTWARE = ("llvmpipe", "softpipe", "swiftshader", "swrast", "software")


# Run in a process of its own: without any OpenGL library VTK does not fail, it crashes.
_ASK = (
    "import vtk; w = vtk.vtkRenderWindow(); w.SetOffScreenRendering(1); w.SetSize(8, 8); w.Render(); "
    "print(w.ReportCapabilities())"
)


@cache
def device() -> str:
    """Returns the name of this machine's OpenGL renderer, empty when there is none."""
    try:
        answer = subprocess.run([sys.executable, "-c", _ASK], capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    for line in answer.stdout.splitlines():
        if "renderer string" in line.lower():
            return line.split(":", 1)[1].strip()
    return ""


def is_hardware(name: str) -> bool:
    """Whether an OpenGL renderer's name is that of a graphics processor."""
    return bool(name) and not any(word in name.lower() for word in _SOFTWARE)


def version() -> str:
    import vtk

    return f"VTK {vtk.vtkVersion.GetVTKVersion()}"


def cannot(recipe: VolumeRendering) -> list[str]:
    """Returns the features of a recipe that this engine does not support; empty when it supports all."""
    asked = {
        "clip planes": bool(recipe.clips),
        "masks": bool(recipe.masking),
        "perspective": recipe.projection != "parallel",
        "a placed light": recipe.light is not None,
        "depth cueing": recipe.depth_cue > 0.0,
        "ambient occlusion": recipe.ambient_occlusion > 0.0,
        "shadows": recipe.shadows > 0.0,
        "a second volume": recipe.fusion is not None,
    }
    return [what for what, wanted in asked.items() if wanted]


def draw_frames(
    volume: Volume,
    recipe: VolumeRendering,
    planes: Sequence[Plane],
    progress: PartDone | None = None,
    cancel: threading.Event | None = None,
) -> NDArray[np.uint8]:
    """Draws (F, rows, columns, 3) uint8: the same scene as the cpu engine, within the tolerance that the tests state.

    Raises Cancelled between two frames.
    """
    if recipe.body_above is not None:
        volume = cpu.body.voxels_without_table(volume, recipe.body_above)
    step_mm = recipe.step_voxels * min(volume.spacing_mm)
    renderer = scene(volume, recipe, step_mm)
    window = offscreen_window(renderer, recipe.rows, recipe.columns)
    frames = np.empty((len(planes), recipe.rows, recipe.columns, 3), dtype=np.uint8)
    try:
        for number, (plane, view) in enumerate(zip(planes, framing.views(recipe), strict=True)):
            if cancel is not None and cancel.is_set():
                raise Cancelled
            _look(renderer, volume, plane, view, recipe.rows, recipe.columns)
            frames[number] = grab(window)
            if progress is not None:
                progress((number + 1) / len(planes))
    finally:
        # Textures stay on the card until the window releases them, and the window until its renderer does.
        renderer.RemoveAllViewProps()
        window.RemoveRenderer(renderer)
        window.Finalize()
    return frames


def image_and_matrix(volume: Volume) -> tuple[Any, Any]:
    """Returns vtkImageData with spacing alone, and the vtkMatrix4x4 from its coordinates to LPS mm.

    A left-handed grid is reversed along k, because its shading would be inside out.
    """
    import vtk
    from vtk.util import numpy_support

    voxels, affine = np.asarray(volume.voxels), np.array(volume.affine)
    # VTK's x, y, z are i, j, k; (i, j, k) is right-handed when det of the (k, j, i) columns is negative.
    if np.linalg.det(affine[:3, :3]) > 0:
        voxels, affine = voxels[::-1], affine @ _reversed_k(volume)
    image = vtk.vtkImageData()
    image.SetDimensions(*voxels.shape[::-1])
    spacing = [float(np.linalg.norm(affine[:3, axis])) for axis in (2, 1, 0)]
    image.SetSpacing(*spacing)
    image.GetPointData().SetScalars(numpy_support.numpy_to_vtk(np.ascontiguousarray(voxels).ravel(), deep=True))
    matrix = vtk.vtkMatrix4x4()
    for row in range(3):
        for column, axis in enumerate((2, 1, 0)):
            matrix.SetElement(row, column, float(affine[row, axis]) / spacing[column])
        matrix.SetElement(row, 3, float(affine[row, 3]))
    return image, matrix


def _reversed_k(volume: Volume) -> Affine:
    turn = np.eye(4)
    turn[0, 0], turn[0, 3] = -1.0, volume.shape[0] - 1.0
    return turn


def scene(volume: Volume, recipe: VolumeRendering, step_mm: float) -> Any:
    """Makes a vtkRenderer with the volume as the recipe shows it, samples step_mm apart; it sets no camera."""
    import vtk

    image, matrix = image_and_matrix(volume)
    mapper = vtk.vtkGPUVolumeRayCastMapper()
    mapper.SetInputData(image)
    mapper.SetAutoAdjustSampleDistances(0)
    mapper.SetLockSampleDistanceToInputSpacing(0)
    mapper.SetSampleDistance(step_mm)
    mapper.SetUseJittering(0)
    mapper.SetImageSampleDistance(1.0)
    if recipe.crop is not None:
        for corner, sign in ((recipe.crop.lower_mm, 1.0), (recipe.crop.upper_mm, -1.0)):
            for axis in range(3):
                plane = vtk.vtkPlane()
                plane.SetOrigin(*corner)
                plane.SetNormal(*(sign if n == axis else 0.0 for n in range(3)))
                mapper.AddClippingPlane(plane)
    actor = vtk.vtkVolume()
    actor.SetMapper(mapper)
    actor.SetProperty(_property(recipe.transfer))
    actor.SetUserMatrix(matrix)
    renderer = vtk.vtkRenderer()
    renderer.SetBackground(*recipe.background)
    renderer.AddVolume(actor)
    # A light of its own: the automatic one has no ambient part.
    light = vtk.vtkLight()
    light.SetLightTypeToHeadlight()
    light.SetAmbientColor(1.0, 1.0, 1.0)
    renderer.AddLight(light)
    return renderer


def _property(transfer: TransferFunction) -> Any:
    import vtk

    colour, opacity = vtk.vtkColorTransferFunction(), vtk.vtkPiecewiseFunction()
    for p in transfer.points:
        colour.AddRGBPoint(p.value, p.red, p.green, p.blue)
        opacity.AddPoint(p.value, p.opacity)
    settings = vtk.vtkVolumeProperty()
    settings.SetInterpolationTypeToLinear()
    settings.SetColor(colour)
    settings.SetScalarOpacity(opacity)
    settings.SetScalarOpacityUnitDistance(transfer.opacity_unit_mm)
    if transfer.gradient_opacity is not None:
        fade = vtk.vtkPiecewiseFunction()
        low, high = transfer.gradient_opacity
        fade.AddPoint(low, 0.0)
        fade.AddPoint(high, 1.0)
        settings.SetGradientOpacity(fade)
    if transfer.shading is not None:
        settings.ShadeOn()
        settings.SetAmbient(transfer.shading.ambient)
        settings.SetDiffuse(transfer.shading.diffuse)
        settings.SetSpecular(transfer.shading.specular)
        settings.SetSpecularPower(transfer.shading.specular_power)
    return settings


def offscreen_window(renderer: Any, rows: int, columns: int) -> Any:
    """Makes an off-screen vtkRenderWindow with one sample for each pixel."""
    import vtk

    window = vtk.vtkRenderWindow()
    window.SetOffScreenRendering(1)
    window.SetMultiSamples(0)
    window.SetSize(columns, rows)
    window.AddRenderer(renderer)
    return window


def _look(renderer: Any, volume: Volume, plane: Plane, view: View, rows: int, columns: int) -> None:
    """Sets the camera: parallel projection onto the plane from the view, with the whole volume in front of it."""
    far = sum(n * s for n, s in zip(volume.shape, volume.spacing_mm, strict=True))
    centre = np.array(plane.at((rows - 1) / 2.0, (columns - 1) / 2.0))
    away = far + float(np.linalg.norm(centre - np.array(volume.centre_mm)))
    eye = renderer.GetActiveCamera()
    eye.ParallelProjectionOn()
    eye.SetFocalPoint(*centre)
    eye.SetPosition(*(centre + away * np.array(view.towards_observer)))
    eye.SetViewUp(*view.up)
    eye.SetParallelScale(rows * plane.pixel_spacing_mm[0] / 2.0)
    eye.SetClippingRange(0.01 * away, 3.0 * away)


def grab(window: Any) -> NDArray[np.uint8]:
    """Reads a window's pixels: (rows, columns, 3) uint8, the top row first."""
    import vtk
    from vtk.util import numpy_support

    window.Render()
    reader = vtk.vtkWindowToImageFilter()
    reader.SetInput(window)
    reader.ReadFrontBufferOff()
    reader.Update()
    columns, rows, _ = reader.GetOutput().GetDimensions()
    pixels = numpy_support.vtk_to_numpy(reader.GetOutput().GetPointData().GetScalars())
    return np.asarray(pixels.reshape(rows, columns, 3)[::-1], dtype=np.uint8)
