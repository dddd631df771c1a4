#!/usr/bin/env bash
# Fuzzes each target for a while, and keeps what it learned (docs/fuzzing.md).
#   nightly.sh SECONDS [TARGET...]     default: all targets, one after the other
# Inputs that reach new code are added to tests/fuzz/corpus/TARGET (commit them). An input that
# breaks something is left in tests/fuzz/found/: mend the bug, then move it to the corpus.
# Exit code 0: nothing was found; 1: something was; 2: it could not run.
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
for target in "${targets[@]}"; do
  [ -f "$here/${target}_fuzz.cpp" ] || {
    echo "error: no target '$target'; there are: $(cd "$here" && ls ./*_fuzz.cpp |
      sed 's|^\./||; s|_fuzz\.cpp$||' | tr '\n' ' ')" >&2
    exit 2
  }
done

{
  cmake -S "$root" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo -DCHRONOVISOR_FUZZ=ON \
    -DCMAKE_CXX_COMPILER=clang++-19 -DCHRONOVISOR_METAL=OFF >/dev/null &&
    cmake --build "$build" --target "${targets[@]/#/fuzz_}"
} || exit 2

# A figure that libFuzzer prints at its end, or that its last progress line has.
statistic() { sed -n "s/^stat::$1: *//p" "$2" | tail -n 1; }
progress() { grep -oE "\b$1: [0-9]+" "$2" | tail -n 1 | grep -oE '[0-9]+$' || echo 0; }

mkdir -p "$here/found"
# Beside the corpora, so that the last lines say it all.
table=$(mktemp)
scratch=$(mktemp -d)
trap 'rm -rf "$table" "$scratch"' EXIT
printf '%-14s %10s %7s %9s %9s %7s %8s\n' target runs runs/s coverage features corpus findings \
  >"$table"
found=0
number=0
for target in "${targets[@]}"; do
  number=$((number + 1))
  program=$build/tests/fuzz/fuzz_$target
  corpus=$here/corpus/$target
  work=$scratch/$target
  log=$scratch/$target.log
  mkdir -p "$corpus" "$work"
  options=(-max_len=8192 -timeout=20 -rss_limit_mb=4096 -detect_leaks=0)
  [ ! -f "$here/$target.dict" ] || options+=("-dict=$here/$target.dict")
  before=$(find "$here/found" -name "$target-*" | wc -l)
  echo "[$number/${#targets[@]}] $target: $seconds s, from $(date +%H:%M:%S)"
  "$program" "${options[@]}" -max_total_time="$seconds" -artifact_prefix="$here/found/$target-" \
    -print_final_stats=1 "$work" "$corpus" >"$log" 2>&1 || {
    found=1
    grep -vE '^#[0-9]+' "$log" | tail -n 60 >&2
  }
  findings=$(($(find "$here/found" -name "$target-*" | wc -l) - before))
  # Only what reaches code that the rest does not, the shortest input that does, and what broke
  # something once (found-*).
  mkdir "$work.kept"
  if "$program" "${options[@]}" -set_cover_merge=1 -use_counters=0 "$work.kept" "$corpus" "$work" \
    >"$log.merge" 2>&1; then
    find "$corpus" -type f ! -name 'found-*' -delete
    find "$work.kept" -type f -exec mv -t "$corpus" {} +
  else
    found=1
    tail -n 20 "$log.merge" >&2
  fi
  printf '%-14s %10s %7s %9s %9s %7s %8s\n' "$target" \
    "$(statistic number_of_executed_units "$log")" "$(statistic average_exec_per_sec "$log")" \
    "$(progress cov "$log")" "$(progress ft "$log")" "$(find "$corpus" -type f | wc -l)" \
    "$findings" >>"$table"
  tail -n 1 "$table"
done
echo
cat "$table"
[ "$found" -eq 0 ] || echo "Something was found: docs/fuzzing.md says what to do with it." >&2
exit "$found"
