#!/usr/bin/env bash
# Fails if the generated document differs from what the dispatch tables say now.
#   is_current.sh GENERATOR DOCUMENT
set -euo pipefail
diff -u "$2" <("$1") || {
  echo "$2 is out of date: run '$1 > $2'" >&2
  exit 1
}
