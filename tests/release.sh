#!/bin/sh
# Checks what would be released: builds sdist and wheel, checks their metadata, and installs the wheel on each interpreter
# that is here, with the newest and (on the oldest interpreter) the oldest dependencies; there, outside the repository, it
# runs a search, resumes it, reports and exports it.
#
#   tests/release.sh [PYTHON ...]      python3.11 python3.12 python3.13 by default, as far as they are there
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
[ $# -gt 0 ] || set -- python3.11 python3.12 python3.13
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

first=
for python in "$@"; do
    if "$python" -c '' 2>/dev/null; then first=${first:-$python}; else echo "skipped: $python is not here"; fi
done
[ -n "$first" ] || { echo "no interpreter of $* is here" >&2; exit 1; }

"$first" -m venv "$work/build"
pip="$work/build/bin/python -m pip --disable-pip-version-check"
$pip install --quiet --constraint "$root/constraints.txt" build twine
git -C "$root" archive HEAD | (mkdir "$work/source" && tar -x -C "$work/source")
"$work/build/bin/python" -m build --outdir "$work/dist" "$work/source" >"$work/build.log" || { cat "$work/build.log"; exit 1; }
"$work/build/bin/python" -m twine check --strict "$work"/dist/*

smoke() {
    python=$1 constraints=$2
    "$python" -c '' 2>/dev/null || return 0
    environment=$work/$python-$constraints
    "$python" -m venv "$environment"
    "$environment/bin/python" -m pip --disable-pip-version-check install --quiet \
        --constraint "$root/$constraints" "$work"/dist/*.whl
    (
        cd "$work" && rm -rf runs
        PATH=$environment/bin:$PATH
        evometa --version
        evometa run sphere --strategy cmaes --generations 20 --run-directory runs/a >/dev/null
        evometa resume runs/a --generations 30 >/dev/null
        evometa report runs/a >/dev/null && evometa export runs/a >/dev/null
        python -c 'import evometa as em; assert em.load("runs/a").result.generations == 30; em.zoo.load("update-rule")'
        python "$root/tests/packaging/public_names.py" >/dev/null
    )
    echo "works: $("$python" --version), $constraints"
}

for python in "$@"; do smoke "$python" constraints.txt; done
smoke "$first" constraints-oldest.txt
