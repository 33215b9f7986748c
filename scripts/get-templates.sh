#!/usr/bin/env bash
# Puts Llama 3.1's published chat template into build/templates for the tests, from the package trl of PyPI (Apache-2.0), which carries
# the templates of the models that it trains. Does nothing where it is there already.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
folder=$root/build/templates
[ -e "$folder/llama3_1.jinja" ] && exit 0
mkdir -p "$folder"
download=$(mktemp -d)
trap 'rm -rf "$download"' EXIT
python3 -m pip download --quiet --disable-pip-version-check --no-deps --dest "$download" trl==1.16.0
python3 - "$download" "$folder" <<'PYTHON'
import pathlib, sys, zipfile

download, folder = map(pathlib.Path, sys.argv[1:])
with zipfile.ZipFile(next(download.glob("*.whl"))) as wheel:
    (folder / "llama3_1.jinja").write_bytes(wheel.read("trl/chat_templates/llama3_1.jinja"))
PYTHON
echo "$folder/llama3_1.jinja"
