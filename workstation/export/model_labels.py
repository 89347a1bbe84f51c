"""Runs a site's model on a volume and takes its labels."""

import os
import signal
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from dicom_io.objects.segmentation_reading import LabelledVolume
from render.volume import Volume
from workstation.errors import WorkstationError
from workstation.export.label_files import LabelFileError, read_labels
from workstation.export.volume_files import export
from workstation.models import Model

_SAID = 2000  # of what a model says, the last characters stand in the error


class ModelError(WorkstationError):
    """A model is unknown, does not suit the volume, or failed; the message says what to do."""


def run_model(model: Model, volume: Volume, modality: str) -> LabelledVolume:
    """Runs a model on a volume, and brings its labels onto the grid of the volume. It reads and writes in a folder of
    its own that is gone afterwards; the file holds no patient.

    Raises ModelError for a series of another modality, a command that fails or does not end, and labels that cannot
    be read or that the settings do not name.
    """
    if model.modalities and modality not in model.modalities:
        known = ", ".join(model.modalities)
        raise ModelError(f"Model {model.name!r} is for {known}, and the series is {modality or 'of no modality'}.")
    with tempfile.TemporaryDirectory(prefix="workstation-model-") as folder:
        source, target = Path(folder, "volume.nii.gz"), Path(folder, "labels.nii.gz")
        export(volume, source)
        words = [part.replace("{volume}", str(source)).replace("{labels}", str(target)) for part in model.command]
        _run(model, words, folder)
        if not target.is_file():
            raise ModelError(f"Model {model.name!r} ended without labels: it wrote no file where {{labels}} says.")
        try:
            found = read_labels(target, volume, model.made_by)
        except LabelFileError as error:
            raise ModelError(f"Model {model.name!r}: {error}") from error
    unnamed = sorted({int(v) for v in np.unique(found.mask.labels) if v} - set(model.labels))
    if unnamed:
        raise ModelError(
            f"Model {model.name!r} gave labels {unnamed[:8]} that the settings do not name. Nothing was taken over; "
            "add them to its `labels`."
        )
    return LabelledVolume(found.mask, model.labels, model.made_by)


def _run(model: Model, words: list[str], folder: str) -> None:
    try:
        process = subprocess.Popen(
            words,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,  # so that what it starts ends with it
        )
    except OSError as error:
        raise ModelError(f"Model {model.name!r} cannot be started: {words[0]}: {error.strerror}.") from error
    try:
        said, _ = process.communicate(timeout=model.timeout_s)
    except subprocess.TimeoutExpired:
        _end(process)
        raise ModelError(f"Model {model.name!r} did not end within {model.timeout_s:g} s, and was stopped.") from None
    except BaseException:
        _end(process)
        raise
    if process.returncode:
        last = said.strip()[-_SAID:]
        raise ModelError(f"Model {model.name!r} failed with exit {process.returncode}. It said:\n{last}")


def _end(process: "subprocess.Popen[str]") -> None:
    if hasattr(os, "killpg"):
        os.killpg(process.pid, signal.SIGKILL)
    else:  # Windows
        process.kill()
    process.communicate()
