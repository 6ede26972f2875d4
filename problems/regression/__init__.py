"""Regression and density estimation from few, noisy points.

============================  ====================================================
file                          holds
============================  ====================================================
:mod:`bayesian_prior`         a prior over functions, from which inference starts
:mod:`density_estimation`     a normalising flow that adapts to 20 points
:mod:`multimodal_regression`  one modulated network for curves of several families
============================  ====================================================
"""
