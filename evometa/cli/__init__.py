"""The command line: ``evometa run | resume | sweep | plot | compare | generalize | export | report | list | show``.

The last room: it may use all the others, and none of them uses it.

===============  ===========================================================
file             holds
===============  ===========================================================
:mod:`main`      ``main``: the commands
:mod:`run`       ``run`` and ``resume``
:mod:`inspect`   ``generalize``, ``list`` and ``show``
:mod:`pictures`  ``plot`` and ``compare``
:mod:`sweep`     ``sweep``
:mod:`export`    ``export``
:mod:`report`    ``report``
:mod:`names`     names of problems and strategies
:mod:`options`   options that commands share
===============  ===========================================================
"""
