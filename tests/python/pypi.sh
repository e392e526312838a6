#!/bin/bash
# The module as a user gets it: a fresh virtual environment, `pip install ./python`, README's snippet as it stands there;
# then its tests with the newest NumPy, PyTorch and JAX of PyPI. pypi.sh FOLDER: where the environment is made, or kept.
set -eu
cd "$(dirname "$0")/../.."
venv=$1
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/pip" install -q --upgrade --force-reinstall --no-deps ./python
"$venv/bin/pip" install -q numpy torch jax
snippet=$(sed -n '/^```python$/,/^```$/{/^```/d;p}' README.md)
case $snippet in *hako.load*) ;; *) echo "README has no snippet in Python" >&2 && exit 1 ;; esac
unset HAKO_LIBRARY PYTHONPATH
"$venv/bin/python" -c "$snippet
assert c.shape == (64, 16) and (c == 32).all(), c
assert hako.__file__.startswith('$venv'), hako.__file__"
HAKO_INSTALLED=1 "$venv/bin/python" tests/python/test_hako.py
