#!/usr/bin/env bash
# Holds the hub's cache as quipu keeps it against Python's huggingface_hub (test/reference/prove_hub_cache.py), on a hub of the loopback:
# each finds what the other has fetched, and waits for the other's locks. Needs `npm test` to have compiled the tests.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv=$root/build/hub-venv
if ! "$venv/bin/python" -c 'import huggingface_hub' 2>/dev/null; then
  python3 -m venv "$venv"
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check huggingface_hub==2.4.0 filelock==4.3.1 >&2
fi
exec "$venv/bin/python" "$root/test/reference/prove_hub_cache.py"
