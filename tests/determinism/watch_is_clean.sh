#!/usr/bin/env bash
# Runs each scenario in a build with CHRONOVISOR_WATCH; no plain access may race, and a seeded race
# must be found.
#   watch_is_clean.sh BUILD_FOLDER
set -euo pipefail
build=$(cd "$1" && pwd)
cd "$(dirname "$0")/../.."

grep -q '^CHRONOVISOR_WATCH:BOOL=ON' "$build/CMakeCache.txt" || {
  echo "error: $build was not configured with -DCHRONOVISOR_WATCH=ON" >&2
  exit 2
}
for scenario in scenarios/*.toml; do
  how=(--seeds 1..3)
  # What orders two accesses is looked up in a clock of all actors: of a thousand, the beginning.
  [ "$scenario" != scenarios/thousand-children.toml ] || how=(--seed 1 --until 50ms)
  "$build/chronovisor" run "$scenario" "${how[@]}" >"$build/watch.log" 2>&1 || {
    cat "$build/watch.log" >&2
    echo "FAIL $scenario" >&2
    exit 1
  }
  echo "clean: $scenario"
done
rm -f "$build/watch.log"
tests/mutants/run.sh "$build"
