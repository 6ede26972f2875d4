"""What a user says of Ray: which cluster, how many workers, and what each needs."""

import dataclasses
from collections.abc import Mapping

from evometa.errors import ConfigurationError
from evometa.settings import Checked, Count, Name, Natural, NonNegative, Positive


@dataclasses.dataclass(frozen=True)
class Ray(metaclass=Checked):
    """The calls of a plain-Python problem run on a Ray cluster; for ``Search(workers=em.Ray(...))``.

    ``workers="ray"`` is short for ``Ray()``: a cluster of this machine alone, which lives as long as the search.

    Args:
        address: the address of a cluster that runs, such as ``10.0.0.1:6379``, or "auto" for the one that this machine
            belongs to; None: what the environment's ``RAY_ADDRESS`` says, or else a local cluster of the search's own.
        workers: workers, each at one call at a time; None: as many as the cluster has room for when the search begins,
            and one for each core on a local cluster.
        cpus: CPU cores that a worker needs.
        gpus: GPUs that a worker needs; its calls see these alone. Without any, JAX keeps to the CPU in them.
        resources: other resources that a worker needs, by the names that the cluster's nodes were started with.
        retries: how often one call may be lost with its worker or node and made again. A call that is lost is no failed
            candidate, so the search ends with an error when this is spent; continue it with ``resume``.
        start_limit: seconds to wait for the cluster, and for a first worker, at the start or after all were lost.
    """

    address: Name | None = None
    workers: Count | None = None
    cpus: NonNegative = 1.0
    gpus: NonNegative = 0.0
    resources: Mapping[Name, NonNegative] = dataclasses.field(default_factory=dict)
    retries: Natural = 10
    start_limit: Positive = 120.0

    def __post_init__(self) -> None:
        """Refuse what Ray would, later and with a traceback."""
        own = {"CPU": "cpus", "GPU": "gpus"}
        for name in own.keys() & self.resources.keys():
            raise ConfigurationError(
                f"Ray expects resources other than CPU cores and GPUs, got {name!r}; "
                f"give {own[name]}={self.resources[name]}."
            )
        if self.gpus > 1 and self.gpus != int(self.gpus):
            raise ConfigurationError(
                f"Ray expects gpus to be a part of one GPU or a whole number of them, got {self.gpus}."
            )
