#!/usr/bin/env bash
# Puts published chat templates into build/templates/trl, from the package trl of PyPI (Apache-2.0), which carries those of the models that it
# trains. Does nothing where they are there already.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
folder=$root/build/templates
[ -e "$folder/trl" ] && exit 0
mkdir -p "$folder"
download=$(mktemp -d)
trap 'rm -rf "$download"' EXIT
python3 -m pip download --quiet --disable-pip-version-check --no-deps --dest "$download" trl==1.16.0 >&2
python3 -m zipfile -e "$download"/trl-*.whl "$download/trl"
mv "$download/trl/trl/chat_templates" "$folder/trl"
echo "$folder/trl"
