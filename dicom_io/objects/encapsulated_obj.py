"""A surface model of several coloured parts as an Encapsulated OBJ object.

Sources: PS3.3 A.85.2 (Encapsulated OBJ IOD), C.24.2 (Encapsulated Document), C.35.1 (Manufacturing 3D Model).
"""

from collections.abc import Sequence

from pydicom.dataset import Dataset

from dicom_io.files.digests import seal
from dicom_io.files.series import Series
from dicom_io.objects.colour_profile import srgb
from dicom_io.objects.encapsulated_stl import encapsulated
from dicom_io.stamp import Stamp
from render.surface_files import as_obj
from render.surface_model import MadePart
from render.volume import Volume

ENCAPSULATED_OBJ = "1.2.840.10008.5.1.4.1.1.104.4"


def model_object(
    parts: Sequence[MadePart], title: str, volume: Volume, series: Series, stamp: Stamp, number: int = 1
) -> Dataset:
    """Makes the object of a model in the volume's frame of reference; colours are those of the vertices, so that no
    material library is needed. title : what it shows. number : of the series. The same arguments give the same bytes.
    """
    ds = encapsulated((ENCAPSULATED_OBJ, "model/obj"), as_obj(parts), title, volume, series, stamp, number)
    ds.ICCProfile, ds.ColorSpace = srgb(), "SRGB"  # the numbers of the vertices: PS3.3 C.11.15
    seal(ds)
    return ds
