#!/bin/sh
# Runs the tests on another interpreter, or with other versions of the dependencies, in an environment of its own:
#
#   tests/versions.sh PYTHON CONSTRAINTS [PYTEST ARGUMENTS]
#   tests/versions.sh python3.13 constraints.txt
#   tests/versions.sh python3.11 constraints-oldest.txt tests/test_checkpoint.py
#
# Environments are kept in .venvs (or $EVOMETA_VENVS), one for each pair, and brought up to date at each run.
set -eu
python=$1 constraints=$2
shift 2
cd "$(dirname "$0")/.."

pair=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')-$(basename "$constraints" .txt)
environment=${EVOMETA_VENVS:-.venvs}/$pair
[ -x "$environment/bin/python" ] || "$python" -m venv "$environment"
pip="$environment/bin/python -m pip --disable-pip-version-check"
$pip install --quiet --constraint "$constraints" --editable ".[test]"
$pip check

echo "$("$environment/bin/python" --version) with $constraints"
# Compiled programs are of no use to another version of JAX: each pair has a cache of its own.
JAX_COMPILATION_CACHE_DIR=$PWD/.cache/jax-$pair "$environment/bin/python" -m pytest \
    --numprocesses "${TEST_WORKERS:-2}" --dist worksteal -m "not bits" "$@"
