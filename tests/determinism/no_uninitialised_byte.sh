#!/usr/bin/env bash
# Runs the beginning of each scenario under valgrind: no decision of the program, no line that it
# prints and no bit of the hash may depend on a byte that nobody wrote.
#   no_uninitialised_byte.sh BUILD_FOLDER
set -euo pipefail
build=$(cd "$1" && pwd)
cd "$(dirname "$0")/../.."

for scenario in scenarios/*.toml; do
  end=200ms
  [ "$scenario" != scenarios/thousand-children.toml ] || end=2ms
  valgrind --quiet --error-exitcode=9 "$build/chronovisor" run "$scenario" --until "$end" \
    >"$build/valgrind.log" 2>&1 || {
    cat "$build/valgrind.log" >&2
    echo "FAIL $scenario" >&2
    exit 1
  }
  echo "clean: $scenario"
done
rm -f "$build/valgrind.log"
