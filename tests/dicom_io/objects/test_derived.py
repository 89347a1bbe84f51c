"""What a derived object says of how it was made."""

from dataclasses import replace

from dicom_io.files.series import open_series
from dicom_io.objects.derived import derive
from render import View, VolumeRendering, draw, load_preset
from tests.conformance.objects import STAMP
from tests.dicom_io.real import SAMPLE
from tests.render.phantom import phantom


def test_the_description_names_engine_version_and_device() -> None:
    series = open_series(SAMPLE)[0]
    volume = replace(phantom(), source_uids=(series.first.sop_instance_uid,))
    picture = draw(volume, VolumeRendering(load_preset("ct_bone"), View.parse("left"), rows=32, columns=32))
    [plain] = derive([picture], series, STAMP)
    assert f"engine cpu {picture.provenance.engine_version}; recipe" in plain.DerivationDescription
    assert picture.digest in plain.DerivationDescription
    by_card = replace(
        picture,
        provenance=replace(picture.provenance, engine="vtk", engine_version="VTK 9.5.0", device="NVIDIA H100"),
    )
    [drawn] = derive([by_card], series, STAMP)
    assert "engine vtk VTK 9.5.0 on NVIDIA H100; recipe" in drawn.DerivationDescription
