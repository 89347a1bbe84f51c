"""Drawing on a Dask farm: workers that anybody starts on any host, with Dask's own command, behind the same
`concurrent.futures.Executor` as a process of our own.

A worker needs this program, in the same version, and the store at the same path. Pixels do not travel: workers read the
series and write the proposal there. A task may be done twice, when a worker is believed to be dead: each attempt writes
into a folder of its own, and the first that is whole gets the name.
"""

import functools
import importlib
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

from dicom_io.files.series import Series
from dicom_io.volumes import build_volume
from render.draw import draw
from render.engine.choice import EngineName, choose
from render.recipe import Recipe
from render.volume import Volume
from workstation.config import Config
from workstation.errors import WorkstationError
from workstation.preparation.making import PreparationMade, PreparationWork, in_turn, make_proposal
from workstation.preparation.proposals import PreparedPicture, write_picture

# How long the scheduler has to answer. So many pictures, or more, are drawn by several workers, each of which has to
# read the series first.
_ANSWER_S, _SPLIT = 10.0, 4


class FarmError(WorkstationError, OSError):
    """The farm cannot be reached, or Dask is not installed."""


class Farm(Executor):
    """The executor of a farm.

    Raises FarmError where its scheduler does not answer.
    """

    def __init__(self, config: Config, root: Path) -> None:
        try:
            dask: Any = importlib.import_module("distributed")
        except ImportError as error:
            raise FarmError(
                "`farm` is set, and Dask is not installed here; install the extra `farm` of this distribution."
            ) from error
        security = None
        if config.farm_tls is not None:
            tls = config.farm_tls
            ours, key, theirs = (
                str(root / Path(name).expanduser()) for name in (tls.certificate, tls.key, tls.authority)
            )
            security = dask.Security(
                require_encryption=True, tls_ca_file=theirs, tls_client_cert=ours, tls_client_key=key
            )
        try:
            self._client: Any = dask.Client(
                config.farm, timeout=_ANSWER_S, security=security, set_as_default=False, name="workstation"
            )
        except (OSError, TimeoutError) as error:
            raise FarmError(
                f"The farm {config.farm} does not answer ({error}); nothing is drawn until it does."
            ) from None
        self._executor: Executor = self._client.get_executor(retries=2, pure=False)

    @property
    def alive(self) -> bool:
        """Whether the scheduler answers; a client that lost it keeps trying, and loses what was under way."""
        return str(self._client.status) == "running"

    @property
    def workers(self) -> int:
        """How many workers the scheduler has."""
        return len(self._client.scheduler_info(n_workers=-1)["workers"])

    def submit(self, fn, /, *args, **kwargs):  # type: ignore[no-untyped-def]  # as Executor has it
        return self._executor.submit(fn, *args, **kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self._executor.shutdown(wait=wait)
        self._client.close()


def make_on_farm(work: PreparationWork) -> PreparationMade:
    """Makes a proposal, on a worker; a large protocol with the help of others. Raises as `make_proposal`."""
    return make_proposal(work, _by_several)


def _by_several(
    volume: Volume, recipes: Sequence[Recipe], work: PreparationWork, folder: Path
) -> Iterator[PreparedPicture]:
    from distributed import worker_client

    if len(recipes) < _SPLIT:
        yield from in_turn(volume, recipes, work, folder)
        return
    with worker_client() as client:
        if len(client.scheduler_info()["workers"]) < 2:
            yield from in_turn(volume, recipes, work, folder)
            return
        numbers = range(1, len(recipes) + 1)
        futures = client.map(
            _one_of_them, recipes, numbers, series=work.series, which=work.which, engine=work.engine,
            digest=volume.digest, folder=str(folder), pure=False, retries=2,
        )  # fmt: skip
        yield from client.gather(futures)


def _one_of_them(
    recipe: Recipe, number: int, *, series: Series, which: int | None, engine: EngineName, digest: str, folder: str
) -> PreparedPicture:
    """Draws one picture of a proposal and writes it, on a worker."""
    volume = _volume(series, which)
    if volume.digest != digest:
        raise RuntimeError("Two workers read different volumes from the same series; their programs differ.")
    picture = draw(volume, recipe, engine=choose(engine).for_recipe(recipe))
    return write_picture(picture, recipe, Path(folder), number)


@functools.lru_cache(maxsize=1)
def _volume(series: Series, which: int | None) -> Volume:
    """The volume of the case that a worker helps with; it draws several pictures of one."""
    return build_volume(series, which)
