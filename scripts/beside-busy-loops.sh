#!/usr/bin/env bash
# Runs a command on two processors, each of which a busy loop keeps busy too. Without one: README's two commands, on this
# checkout.
#
#   scripts/beside-busy-loops.sh
#   scripts/beside-busy-loops.sh npm test -- lifecycle
set -u
cd "$(dirname "$0")/.."
loops=()
for _ in 1 2; do
  node -e 'for (;;);' &
  loops+=($!)
done
trap 'kill "${loops[@]}" 2>/dev/null' EXIT
if [ $# -eq 0 ]; then
  npm install && npx quipu "Once upon a time" && npm test
else
  "$@"
fi
