#!/usr/bin/env bash
# Fails if a library holds a mutable object with static or thread storage.
#   no_mutable_statics.sh LIBRARY
set -euo pipefail
symbols=$(nm -C "$1" 2>/dev/null)
[ -n "$symbols" ] || { echo "$1 holds no symbols: nothing was checked" >&2; exit 1; }
# b/B .bss, d/D .data, also common and thread-local; .data.rel.ro (vtables) is listed as d or D too.
found=$(objdump -t -C "$1" | awk '$4 ~ /^\.(bss|data|tbss|tdata)/ && $4 !~ /^\.data\.rel\.ro/ && $3 ~ /O/' || true)
if [ -n "$found" ]; then
  echo "mutable static objects in $1:" >&2
  echo "$found" >&2
  exit 1
fi
