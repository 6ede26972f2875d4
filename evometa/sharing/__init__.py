"""Using what a search found: reading a run, and writing ω for other programs.

=================== =====================================================================
file                holds
=================== =====================================================================
:mod:`run`          ``load``: a run by its folder, with problem, history, ω and population
:mod:`formats`      ω as ``.npz``, safetensors, JSON, Python or LaTeX
:mod:`sweeps`       the plan of a sweep, in its folder
=================== =====================================================================
"""
