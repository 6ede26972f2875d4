"""References to classes by name, and descriptions of problems and strategies as JSON.

Run directories, the command line and worker processes need a problem or a strategy in another process, without pickle.
A class is stored as a *reference*, ``evometa.problems:Sinusoid`` when a fresh interpreter can import it by name,
``/home/ada/study.py:Study`` when it comes from a file of the user's own (the running script included). An object is
stored as its class and the values of its dataclass fields, in JSON.

References to evometa's own classes name the public package, not the file, so files can move. References written before
that, such as ``evometa.problems.sinusoid:Sinusoid``, still find their class.

====================  ==========================================================
file                  holds
====================  ==========================================================
:mod:`references`     a class to its reference, and back
:mod:`modules`        importing the module that a reference names
:mod:`cells`          classes typed into a notebook, as files
:mod:`descriptions`   an object to its description, and back
:mod:`rebuilding`     the check that an object survives being described
====================  ==========================================================
"""

from evometa.naming.descriptions import describe, rebuild, without_modules
from evometa.naming.modules import only_own_classes, refuse_while_importing
from evometa.naming.rebuilding import require_rebuildable
from evometa.naming.references import classes, fingerprint, load, reference

__all__ = [
    "classes",
    "describe",
    "fingerprint",
    "load",
    "only_own_classes",
    "rebuild",
    "reference",
    "refuse_while_importing",
    "require_rebuildable",
    "without_modules",
]
