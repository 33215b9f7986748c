#!/usr/bin/env bash
# Trains a model of the embedded one's shape from the stories of ../shared: vocabulary, tokens, model, the page about the run, and its
# bits per byte, in a folder that is made. What it makes does not depend on the threads.
#
#   scripts/train-storyteller.sh folder [seed]
set -euo pipefail
out=$(realpath -m "${1:?expected a folder}") seed=${2:-1}
cd "$(dirname "$0")/.."
data=${QUIPU_SHARED:-../shared}/data
quipu() { node bin/quipu.js "$@"; }
mkdir -p "$out/tokenizer"

quipu tokenizer train --vocab-size 2048 "$data/tinystories/tinystories.jsonl.gz" -o "$out/tokenizer/tokenizer.model"
quipu data pack --tokenizer "$out/tokenizer" "$data/tinystories/tinystories.jsonl.gz" -o "$out/stories.tokens" --hold-out 0.01
quipu train --data "$out/stories.tokens" --tokenizer "$out/tokenizer" --init storyteller-2m --steps 1650 --batch 8192 --seq 512 \
  --optimizer muon --lr 3e-3 --muon-lr 0.02 --schedule linear --cool-down 0.6 --average 0.05 --seed "$seed" --out "$out/run"
quipu train report "$out/run"
node bench/bits-per-byte.js "$out/run/model"
# The first picture of the page, by itself.
sed -n '0,/<\/svg>/p' "$out/run/report.html" | sed -n '/<svg/,$p' | sed 's|<svg|& xmlns="http://www.w3.org/2000/svg"|' >"$out/loss.svg"
echo "written  $out/run/model, $out/loss.svg"
