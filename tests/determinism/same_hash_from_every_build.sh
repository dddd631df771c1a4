#!/usr/bin/env bash
# Runs each scenario with the chronovisor of each build folder; all must end with the same hash.
#   same_hash_from_every_build.sh BUILD_FOLDER...
set -euo pipefail
cd "$(dirname "$0")/../.."

failures=0
compared=0
for scenario in scenarios/*.toml; do
  for seed in 1 2; do
    first=""
    for folder in "$@"; do
      result=$("$folder/chronovisor" run "$scenario" --seed "$seed" --json) || {
        echo "FAIL $scenario seed $seed: $folder ended with an error" >&2
        failures=$((failures + 1))
        continue
      }
      hash=$(sed -n 's/.*"trace_hash": *"\([0-9a-f]*\)".*/\1/p' <<<"$result")
      if [ -z "$hash" ]; then
        echo "FAIL $scenario seed $seed: $folder reported no trace_hash" >&2
        failures=$((failures + 1))
      elif [ -z "$first" ]; then
        first=$hash
      elif [ "$hash" != "$first" ]; then
        echo "FAIL $scenario seed $seed: $1 says $first, $folder says $hash" >&2
        failures=$((failures + 1))
      else
        compared=$((compared + 1))
      fi
    done
    echo "$scenario seed $seed: $first"
  done
done
echo "$compared comparisons agreed, $failures failed"
[ "$failures" -eq 0 ] && [ "$compared" -gt 0 ]
