"""Whole trainings on the nodes of a cluster, a call each: recipes and their tables go there, versions come back."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from models_store.errors import PatternServerError
from models_store.networks.architecture import Device
from training.cluster import Cluster
from training.data.tables import ReadTable
from training.recipe.data import TableData
from training.recipe.spec import PatternSpec
from training.run import train

if TYPE_CHECKING:
    import polars as pl

Files = dict[str, bytes]
"""Those of a version, by their names."""


@dataclass(frozen=True, eq=False)
class Asked:
    """A training with all that it needs."""

    spec: PatternSpec
    tables: Mapping[str, "pl.DataFrame"]
    device: Device
    job: str

    @classmethod
    def of(cls, spec: PatternSpec, read_table: ReadTable, device: Device, job: str) -> "Asked":
        """Raises what `read_table` raises."""
        names = (spec.data.dataset, spec.data.test) if isinstance(spec.data, TableData) else ()
        return cls(spec, {name: read_table(name) for name in names if name is not None}, device, job)


def trained_on(
    cluster: Cluster, asked: Sequence[Asked], pulse: Callable[[], None]
) -> Iterator[tuple[int, Files | PatternServerError]]:
    """Yield the place of each training and the files of its version, or why there is none, as each ends.

    A training whose node dies runs again on another one. Raises ClusterLost, and what `pulse` raises.
    """
    gpus = 1 if any(one.device == "gpu" for one in asked) else 0
    return cluster.each(_trained, cluster.put(None), asked, pulse, gpus=gpus)


def _trained(_: None, asked: Asked) -> Files:
    # The cluster counts one core for a call; others of the node are for other trainings.
    bundle = train(asked.spec, read_table=asked.tables.__getitem__, device=asked.device, job=asked.job, cores=1)
    return bundle.to_files()
