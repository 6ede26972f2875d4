"""Live pages of all runs under a directory, for a browser on the same machine.

================  =======================================================================
file              holds
================  =======================================================================
:mod:`folders`    the run directories under a directory; links that lead out of it
:mod:`summaries`  a run in a line of the list, from the ends of its files
:mod:`listing`    all of them, read again where they have changed
:mod:`pages`      the report's pages of a run and of several, and what of them is live
:mod:`parallel`   parallel coordinates as plain lines
:mod:`guard`      who may ask for what: Host, methods, token, headers
:mod:`app`        the addresses
:mod:`serving`    the port, and the server on it
================  =======================================================================

Nothing is written, and no code is run that a run directory names: classes other than evometa's own are not imported, so
of their runs ω is shown as arrays.
"""
