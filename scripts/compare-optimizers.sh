#!/usr/bin/env bash
# What the embedded model learns by AdamW and by Muon: bits per byte on the first 60 documents of ../shared's validation stories, over runs
# of the model's own shape, vocabulary and data. Tuning first, the same for both: two rates, 300 steps, seed 1. Then runs of three seeds,
# each at its best rate. What a step costs: bench/optimizers.js.
#
#   scripts/compare-optimizers.sh folder tune                                  folder as scripts/train-storyteller.sh made it
#   scripts/compare-optimizers.sh folder adamw|muon rate steps seed…           QUIPU_BENCH_THREADS: default 1
set -euo pipefail
folder=$(realpath "${1:?expected a folder}") what=${2:?expected tune, adamw or muon}
shift 2
cd "$(dirname "$0")/.."
stories=${QUIPU_SHARED:-../shared}/data/validation/tinystories.jsonl.gz
quipu() { node bin/quipu.js "$@"; }

# run OPTIMIZER RATE STEPS SEED: a run that is there already is only told about.
run() {
  local out=$folder/compared/$1-$2-$3-$4 rates=(--lr "$2")
  if [ "$1" = muon ]; then rates=(--lr 3e-3 --muon-lr "$2"); fi
  if [ ! -d "$out/model" ]; then
    quipu train --data "$folder/stories.tokens" --held-out "$folder/validation.tokens" --tokenizer "$folder/tokenizer" \
      --init storyteller-2m --steps "$3" --batch 8192 --seq 512 --optimizer "$1" "${rates[@]}" --schedule linear --warm-up 0.1 --cool-down 0.6 \
      --average 0.05 --seed "$4" --evaluate-every 50 --save-every "$3" -t "${QUIPU_BENCH_THREADS:-1}" --out "$out" --quiet
  fi
  node -e '
    const lines = require("fs").readFileSync(process.argv[1], "utf8").trim().split("\n").map(JSON.parse);
    const measured = lines.filter((line) => line.type === "evaluation");
    const at = measured.findIndex(({ bitsPerByte }) => bitsPerByte <= 0.8116); // of the model before (models/storyteller)
    const [before, after] = measured.slice(at - 1);
    const share = at > 0 && (before.bitsPerByte - 0.8116) / (before.bitsPerByte - after.bitsPerByte);
    const passes = at > 0 ? (before.step + share * (after.step - before.step)).toFixed(0) : "";
    console.log(`| ${process.argv.slice(2).join(" | ")} | ${measured.at(-1).bitsPerByte.toFixed(4)} | ${passes} |`);
  ' "$out/log.jsonl" "$@"
}

if [ ! -f "$folder/validation.tokens" ]; then
  zcat "$stories" | sed -n '1,60p' >"$folder/validation.jsonl"
  quipu data pack --tokenizer "$folder/tokenizer" "$folder/validation.jsonl" -o "$folder/validation.tokens"
fi
printf '| optimizer | rate | steps | seed | bits per byte | step that passes 0.8116 |\n| --- | ---: | ---: | ---: | ---: | ---: |\n'
if [ "$what" = tune ]; then
  for rate in 2e-3 4e-3; do run adamw "$rate" 300 1; done
  for rate in 0.02 0.04; do run muon "$rate" 300 1; done
  exit
fi
rate=$1 steps=$2
shift 2
for seed in "$@"; do run "$what" "$rate" "$steps" "$seed"; done
