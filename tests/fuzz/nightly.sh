#!/usr/bin/env bash
# Fuzzes each target for a while, and keeps what it learned.
#   nightly.sh SECONDS [TARGET...]     default: all targets, one after the other
# Inputs that reach new code are added to tests/fuzz/corpus/TARGET (commit them). An input that
# breaks something is left in tests/fuzz/found/: mend the bug, then move it to the corpus.
# Exit code 0: nothing was found; 1: something was.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
[ $# -ge 1 ] && [[ $1 =~ ^[0-9]+$ ]] || {
  sed -n '2,6s/^# \{0,1\}//p' "$0" >&2
  exit 2
}
seconds=$1
shift
build=${CHRONOVISOR_FUZZ_BUILD:-$root/build-fuzz}
targets=("$@")
if [ ${#targets[@]} -eq 0 ]; then
  for source in "$here"/*_fuzz.cpp; do
    targets+=("$(basename "$source" _fuzz.cpp)")
  done
fi

cmake -S "$root" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo -DCHRONOVISOR_FUZZ=ON \
  -DCMAKE_CXX_COMPILER=clang++-19 -DCHRONOVISOR_METAL=OFF >/dev/null
cmake --build "$build" --target "${targets[@]/#/fuzz_}"

found=0
mkdir -p "$here/found"
for target in "${targets[@]}"; do
  corpus=$here/corpus/$target
  work=$(mktemp -d)
  log=$(mktemp)
  mkdir -p "$corpus"
  echo "== $target, $seconds s"
  "$build/tests/fuzz/fuzz_$target" -max_total_time="$seconds" -max_len=8192 -timeout=20 \
    -rss_limit_mb=4096 -detect_leaks=0 -artifact_prefix="$here/found/$target-" -print_final_stats=1 \
    "$work" "$corpus" >"$log" 2>&1 || {
    found=1
    tail -n 40 "$log" >&2
  }
  grep -E 'stat::(number_of_executed_units|average_exec_per_sec|new_units_added)' "$log" || true
  # Only what reaches code that the corpus does not, and the shortest input that does.
  "$build/tests/fuzz/fuzz_$target" -merge=1 "$corpus" "$work" >/dev/null 2>&1 || found=1
  rm -rf "$work" "$log"
  echo "$target: $(find "$corpus" -type f | wc -l) inputs in the corpus"
done
exit "$found"
