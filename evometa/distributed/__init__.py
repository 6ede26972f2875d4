"""Distributed searches: several processes, on one machine or many, that search together.

===================  ==================================================================================
file                 holds
===================  ==================================================================================
:mod:`placement`     which ranks are started here, and where they find each other
:mod:`supervisor`    the parent of the ranks of a machine: it watches them, and ends all when one is lost
:mod:`failures`      which rank is to blame, and the sentence that says so
:mod:`hub`           the connections between the supervisors of several machines
:mod:`lines`         messages on a pipe or a connection, one a line
:mod:`rank`          what a rank tells its supervisor
===================  ==================================================================================

How ranks compute together and agree is in :mod:`evometa.backend.ranks`. In a script, :func:`initialize` is enough; it
comes without a supervisor.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evometa.backend.ranks import initialize

__all__ = ["initialize"]


def __getattr__(name: str) -> Any:
    if name == "initialize":  # which imports JAX, and a supervisor needs none
        from evometa.backend.ranks import initialize

        return initialize
    raise AttributeError(f"module 'evometa.distributed' has no attribute {name!r}")
