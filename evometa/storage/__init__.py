"""Storage: what a search leaves on disk, and reading it again.

The search writes here; plots and the command line read. Nothing is pickled, and every file is either whole or not
there.

====================  =====================================================
file                  holds
====================  =====================================================
:mod:`run_directory`  the folder: what is appended, what is replaced
:mod:`locking`        one process at a time writes to it
:mod:`tables`         its tables, as a search appends to them
:mod:`manifest`       what is searched with what, and what was changed
:mod:`checkpoint`     the whole state at one generation, complete or absent
:mod:`history`        one row a generation, read and written as CSV
:mod:`trials`         ``trials.csv``, one row a candidate
:mod:`drift`          ``drift.csv``, how weights moved
:mod:`call_log`       ``calls.jsonl``, the candidates of an asynchronous search
:mod:`appended`       a file to which whole lines are appended
:mod:`result`         what a search counts, keeps and returns
:mod:`result_file`    ``result.npz`` and ``result.json``
:mod:`archive_file`   ``archive.npz``
:mod:`failures`       ``failures.txt``
:mod:`loop_file`      the file of an ``AskTell``
:mod:`flat_trees`     pytrees as named arrays, without pickle
:mod:`files`          files written whole or not at all
====================  =====================================================
"""
