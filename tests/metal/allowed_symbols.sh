#!/usr/bin/env bash
# Fails if a library above the seam needs anything but the project's own functions, the seam, and the
# few run-time functions that metal/ supplies.
#   allowed_symbols.sh LIBRARY
set -euo pipefail
symbols=$(nm -C "$1")
[ -n "$symbols" ] || { echo "$1 holds no symbols: nothing was checked" >&2; exit 1; }
allowed='^(memcpy|memmove|memset|memcmp|memchr|strlen|__assert_fail|__cxa_pure_virtual'
allowed+='|__popcountdi2|__popcountsi2|operator delete\(.*\)'
allowed+='|std::__glibcxx_assert_fail\(.*\)|std::__throw_out_of_range_fmt\(.*\)|std::terminate\(\))$'
own='^((vtable for |non-virtual thunk to )?(machine|hv|vmbus|kernel|root|child|devices)::'
# Templates and lambdas are shown with their return type in front.
own+='|.*[ &*](machine|hv|vmbus|kernel|root|child|devices)::)'
found=$(echo "$symbols" | awk '$1 == "U"' | sed 's/^ *U //' | sort -u |
  grep -Ev "$allowed" | grep -Ev "$own" || true)
if [ -n "$found" ]; then
  echo "$1 needs what the real computer does not have:" >&2
  echo "$found" >&2
  exit 1
fi
