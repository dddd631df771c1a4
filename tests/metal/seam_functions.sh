#!/usr/bin/env bash
# Lists the seam's functions on metal with their sizes, and fails if one has more than eight
# instructions (the return not counted), or if a function that the seam declares is missing.
#   seam_functions.sh OBJECT...
set -euo pipefail
limit=8
# One more than the limit: CPUID has four results, which the calling convention packs into two words.
nine='^9	machine::cpuid\('

# Padding after the last return is no instruction of a function; neither is the UD2 that the compiler
# puts after a function written in assembly.
listing=$(objdump -d -C --no-show-raw-insn "$@" | awk '
  function flush() {
    if (name != "") {
      while (count > 0 && (operation[count] ~ /^(nop|data16|cs|xchg|ud2|ret)/)) --count
      print count "\t" name
    }
  }
  /^[0-9a-f]+ <.*>:$/ { flush(); name = $0; sub(/^[0-9a-f]+ </, "", name); sub(/>:$/, "", name)
                        count = 0; next }
  /^ +[0-9a-f]+:\t/ { split($0, part, "\t"); operation[++count] = part[2] }
  END { flush() }')

echo "$listing"
functions=$(echo "$listing" | wc -l)
if [ "$functions" -lt 80 ]; then
  echo "only $functions functions were found: the seam has more" >&2
  exit 1
fi
too_long=$(echo "$listing" | awk -F'\t' -v limit=$limit '$1 > limit' |
  grep -Pv "$nine" || true)
if [ -n "$too_long" ]; then
  echo "longer than $limit instructions:" >&2
  echo "$too_long" >&2
  exit 1
fi
