"""evometa in the hands of other libraries; each file needs the library that it is for.

======================  ==================================================
file                    holds
======================  ==================================================
:mod:`optuna`           any evometa strategy as a sampler of Optuna
:mod:`distributions`    Optuna's distributions as a space, and ω as values
:mod:`loggers`          callbacks for TensorBoard, Weights & Biases and MLflow
:mod:`sklearn`          estimators of scikit-learn that find formulas
:mod:`formula_search`   the compiled search that their fits share
======================  ==================================================
"""
