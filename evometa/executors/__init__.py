"""Executors: where the calls of a plain-Python problem run.

Beside evaluation, for problems that cannot be compiled: the search submits trials and takes outcomes as they are
completed. A new executor (a cluster, a command) is one file here.

======================  ==================================================================
file                    holds
======================  ==================================================================
:mod:`executor`         the contract: trials submitted, outcomes as completed
:mod:`worker_pool`      worker processes of this machine: hands out, tries again, replaces
:mod:`worker_process`   one worker process, seen from the search
:mod:`processes`        the processes that a worker started
:mod:`worker`           what runs in a worker process
:mod:`user_modules`     the user's files as modules there
:mod:`surroundings`     what each call finds around it there
:mod:`returned`         what a call returned or raised, in words
:mod:`frames`           the messages between the two
======================  ==================================================================
"""
