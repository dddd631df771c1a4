#!/usr/bin/env bash
# Counts the hypervisor's instructions from VM exit to VM entry with callgrind, path by path, and
# prints where they are spent. What the simulated machine executes in between (a VMREAD, a load) is
# one instruction on metal, and is left out; what the hypervisor has the C library copy or fill is
# counted.
#   exit_paths.sh BUILD_FOLDER [PATH...]     a Release build with CHRONOVISOR_BENCH=ON
# Exit code 1 if a path takes more than its floor.
set -euo pipefail

[ $# -ge 1 ] && [ -x "$1/bench/exit_paths" ] || {
  sed -n '2,7s/^# \{0,1\}//p' "$0" >&2
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

# What each instruction belongs to is told by its address: callgrind's own names follow calls, and
# are wrong after the simulator has changed from one fiber's stack to another's.
nm -C --defined-only "$program" | sed -En 's/^([0-9a-f]{16}) [tTwWuVi] /\1 A /p' >"$work/symbols"

# ADDRESS B COUNT for each instruction of the program, ADDRESS C COUNT NAME for each call that
# leaves it.
addresses='
  function padded(address) {
    address = substr(address, 3)
    return substr("0000000000000000", length(address) + 1) address
  }
  /^ob=/ { inside = (substr($0, 4) == program); next }
  /^cob=/ { leaves = (substr($0, 5) != program); next }
  /^cfn=/ { name = substr($0, 5); next }
  /^calls=/ {
    getline
    if (inside && leaves) print padded($1), "C", $3, name
    leaves = 0
    next
  }
  /^0x/ && inside { print padded($1), "B", $3 }'

breakdown='
  $2 == "A" { name = substr($0, 20); counts = name ~ /^hv::|^machine::SpinLock/; next }
  !counts { next }
  { total += $3 }
  $2 == "B" { self[name] += $3 }
  $2 == "C" { self[$4] += $3 }
  END {
    each = total / operations
    printf "%s: %.1f instructions (floor %d, aim %d)%s\n", path, each, floor, aim,
      (each > floor) ? "  OVER" : ""
    fflush()
    for (name in self) if (self[name] / operations >= 0.5)
      printf "  %8.1f  %s\n", self[name] / operations, name | "sort -rn"
    close("sort -rn")
    exit (each > floor)
  }'

failed=0
while read -r path floor aim; do
  [ $# -eq 0 ] || [[ " $* " == *" $path "* ]] || continue
  operations=$(valgrind --tool=callgrind --collect-atstart=no --dump-instr=yes \
    --compress-strings=no --compress-pos=no --callgrind-out-file="$work/$path" \
    "$program" "$path" 2>"$work/log") || {
    cat "$work/log" >&2
    exit 1
  }
  awk -v program="$program" "$addresses" "$work/$path" | sort "$work/symbols" - |
    awk -v path="$path" -v floor="$floor" -v aim="$aim" -v operations="$operations" \
      "$breakdown" || failed=1
done <<<"$floors"
exit "$failed"
