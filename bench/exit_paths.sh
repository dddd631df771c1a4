#!/usr/bin/env bash
# Counts the hypervisor's instructions from VM exit to VM entry with callgrind, path by path, and
# prints where they are spent. What the simulated machine executes in between (a VMREAD, a load) is
# one instruction on metal, and is left out.
#   exit_paths.sh BUILD_FOLDER [PATH...]     a Release build with CHRONOVISOR_BENCH=ON
# Exit code 1 if a path takes more than its floor.
set -euo pipefail

[ $# -ge 1 ] && [ -x "$1/bench/exit_paths" ] || {
  sed -n '2,6s/^# \{0,1\}//p' "$0" >&2
  exit 2
}
program=$(cd "$1" && pwd)/bench/exit_paths
shift
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# path, floor, aim
floors='cpuid 300 150
null-hypercall 350 180
signal-event 700 400
post-message 1200 700
map-page 60 30'

failed=0
while read -r path floor aim; do
  [ $# -eq 0 ] || [[ " $* " == *" $path "* ]] || continue
  operations=$(valgrind --tool=callgrind --collect-atstart=no --compress-strings=no \
    --compress-pos=no --callgrind-out-file="$work/$path" "$program" "$path" 2>"$work/log") || {
    cat "$work/log" >&2
    exit 1
  }
  awk -v path="$path" -v floor="$floor" -v aim="$aim" -v operations="$operations" '
    /^fn=/ { name = substr($0, 4); next }
    /^calls=/ { getline; next }  # the line after it has what the called function cost
    /^[0-9+*-]/ && NF == 2 {
      if (name ~ /^hv::|^machine::SpinLock/) { self[name] += $2; total += $2 }
    }
    END {
      each = total / operations
      printf "%s: %.1f instructions (floor %d, aim %d)%s\n", path, each, floor, aim,
        (each > floor) ? "  OVER" : ""
      fflush()
      for (name in self) if (self[name] / operations >= 0.5)
        printf "  %8.1f  %s\n", self[name] / operations, name | "sort -rn"
      close("sort -rn")
      exit (each > floor)
    }' "$work/$path" || failed=1
done <<<"$floors"
exit "$failed"
