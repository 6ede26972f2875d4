"""Any program as a problem: a command line with parameters in it, and the number that the program prints or writes.

======================  ====================================================================
file                    holds
======================  ====================================================================
:mod:`command_problem`  ``CommandProblem``: a call of a program, from ω to its fitness
:mod:`space_file`       ``CommandSpace``: parameters as JSON or TOML, as a space, as text
:mod:`template`         the command line with its parameters, and with their values
:mod:`process`          one run of a program: its output, its time limit, its end
:mod:`metric`           the number in what a program printed or wrote
:mod:`kept_files`       working directories, and which of them are kept
======================  ====================================================================
"""
