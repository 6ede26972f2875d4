"""A run explained on one page: HTML that needs no network.

======================  ==========================================================================
file                    holds
======================  ==========================================================================
:mod:`blocks`           what a page consists of: sections of tables, charts, pictures, code
:mod:`charts`           charts as Plotly's JSON
:mod:`run_sections`     the sections of one run
:mod:`omega_sections`   ω, drawn by its kind
:mod:`drift_chart`      how weights moved over the generations
:mod:`pictures`         pictures of what ω does, for ``evometa plot`` too
:mod:`trial_charts`     what the table of trials shows: importance, parallel coordinates, shares
:mod:`commands`         the commands that repeat and resume a run
:mod:`comparison`       the sections of several runs: ranked table, paired test, curves
:mod:`page`             the page, rendered by Jinja2 from ``templates/``
======================  ==========================================================================
"""

from evometa.report.page import report

__all__ = ["report"]
