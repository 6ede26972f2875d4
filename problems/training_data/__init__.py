"""Training data: made, changed, weighted, selected or ordered by ω; and auxiliary tasks beside it.

===========================  ================================
file                         holds
===========================  ================================
:mod:`data_augmentation`     augmentation
:mod:`dataset_distillation`  distillation
:mod:`sample_selection`      selection of examples
:mod:`curriculum`            the order of examples
:mod:`hypercleaning`         a weight for each example
:mod:`auxiliary_tasks`       auxiliary tasks
:mod:`data_training`         training on data that ω makes
:mod:`few_labels`            few labelled digits in each task
:mod:`noisy_training`        noisy labels in each task
===========================  ================================
"""
