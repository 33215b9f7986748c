#!/usr/bin/env bash
# Makes build/models/smollm2, the safetensors folder of SmolLM2-135M-Instruct that tests and benchmarks run on, from the GGUF
# in ../shared (or $QUIPU_SHARED). Does nothing where it is made already.
#
#   scripts/make-smollm2.sh               installs gguf and numpy into build/venv first, where python3 lacks them
#   scripts/make-smollm2.sh --no-install  installs nothing
#
# Exit status: 0 the folder is there, 1 making it failed, 3 something that it takes is not here (said on stderr).
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
shared=${QUIPU_SHARED:-$root/../shared}
folder=$root/build/models/smollm2
venv=$root/build/venv

lacking() {
  echo "make-smollm2: $1" >&2
  exit 3
}

# usable PYTHON: it can run the converter.
usable() { command -v "$1" >/dev/null && "$1" -c 'import gguf, numpy' 2>/dev/null; }

[ -e "$folder/model.safetensors.index.json" ] && exit 0
[ -e "$shared/tools/gguf_to_hf.py" ] || lacking "$shared/tools/gguf_to_hf.py does not exist (QUIPU_SHARED names the folder)"

if usable "$venv/bin/python"; then
  python=$venv/bin/python
elif usable python3; then
  python=python3
elif [ "${1:-}" = --no-install ]; then
  lacking "python3 has no gguf and numpy; scripts/make-smollm2.sh installs them into build/venv"
else
  command -v python3 >/dev/null || lacking "python3 is not installed (apt-get install python3 python3-venv)"
  python3 -m venv "$venv" || lacking "python3 cannot make a virtual environment (apt-get install python3-venv)"
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check gguf==0.19.0 safetensors numpy >&2
  python=$venv/bin/python
fi

# Made beside its place and renamed, so that a folder that is there is whole, also when two processes make it at once.
mkdir -p "$root/build/models"
made=$(mktemp -d "$root/build/models/smollm2.XXXXXX")
trap 'rm -rf "$made"' EXIT
"$python" "$shared/tools/gguf_to_hf.py" "$shared/models/SmolLM2-135M-Instruct.Q4_1.gguf" \
  "$shared/models/smollm2-135m-instruct" "$made" >&2
chmod -R u+w,go+rX "$made"
"$python" - "$made" "$folder" "$root/test/reference/smollm2.json" <<'PYTHON'
import hashlib, json, os, pathlib, sys

made, folder, golden = map(pathlib.Path, sys.argv[1:])
weights = hashlib.sha256()
for shard in sorted(made.glob("*.safetensors")):
    weights.update(shard.read_bytes())
expected = json.loads(golden.read_text(encoding="utf-8"))["sha256"]
if weights.hexdigest() != expected:
    sys.exit(f"make-smollm2: the weights have sha256 {weights.hexdigest()}, those of test/reference/smollm2.json {expected}")
try:
    os.rename(made, folder)
except OSError:
    if not (folder / "model.safetensors.index.json").exists():
        raise
PYTHON
echo "$folder"
