"""Regression and density estimation from few, noisy points.

============================  ====================================================
file                          holds
============================  ====================================================
:mod:`bayesian_prior`         a prior over functions, from which inference starts
:mod:`multimodal_regression`  one modulated network for curves of several families
============================  ====================================================
"""
