"""The command line: ``evometa run``, ``resume``, ``plot``, ``report`` and the other commands.

The last room: it may use all the others, and none of them uses it.

===============  ===========================================================
file             holds
===============  ===========================================================
:mod:`main`      ``main``: the commands
:mod:`run`       ``run`` and ``resume``
:mod:`inspect`   ``generalize`` and ``show``
:mod:`catalog`   ``list``
:mod:`clean`     ``clean``
:mod:`pictures`  ``plot`` and ``compare``
:mod:`sweep`     ``sweep``
:mod:`export`    ``export``
:mod:`report`    ``report``
:mod:`output`    writing a file
:mod:`names`     names of problems and strategies
:mod:`options`   options that commands share
===============  ===========================================================
"""
