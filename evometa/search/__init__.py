"""The search: generation after generation, until there is a reason to stop.

It puts evaluation or an executor to work for a strategy, counts what that costs, and hands what was found to storage.

======================  ======================================================
file                    holds
======================  ======================================================
:mod:`search`           ``Search``, what a user starts, interrupts and resumes
:mod:`running`          runs one: driver, loop, final selection, result
:mod:`several_seeds`    ``SeveralSeeds``, searches that share compiled programs
:mod:`ask_tell`         ``AskTell``, a strategy for those who own their loop
:mod:`execution`        makes the driver, chooses evaluator or executor
:mod:`run_state`        what was done and found so far
:mod:`stored_run`       the run directory; continuing at its newest checkpoint
:mod:`resuming`         continuing with another problem: told and recorded
:mod:`resizing`         continuing with another population size
:mod:`start`            where a search begins: points, or another run
:mod:`other_run`        the candidates that another run has found
:mod:`matching`         ω of one space in another, name by name
:mod:`starting`         the points at which a search begins, evaluated first
:mod:`members`          the population of a run
:mod:`loop`             dispatch, record, tell callbacks, decide, save
:mod:`driver`           the contract of drivers; one generation
:mod:`compiled_driver`  JAX problems: many generations in one program
:mod:`stepped_driver`   plain-Python problems: an executor evaluates
:mod:`asynchronous_driver`  the same, and no worker waits for a generation
:mod:`generation`       the state of a search; ask and tell of one generation
:mod:`planning`         how many devices, how many candidates in a chunk
:mod:`budget`           what a search costs: evaluations and inner steps
:mod:`decisions`        what comes next: dispatch, checkpoint, stop and why
:mod:`target`           whether a fitness to reach is reached, despite noise
:mod:`interrupt`        Ctrl-C as a request
:mod:`callbacks`        what a user's code is told meanwhile
:mod:`progress`         the bar on the terminal
:mod:`debugging`        each candidate evaluated by plain JAX first
:mod:`finalists`        the best candidates, kept for the final selection
:mod:`selection`        the final selection on fresh tasks
:mod:`search_result`    the result, made from the state of the search
:mod:`generalization`   a found ω on held-out and on other tasks
======================  ======================================================
"""
