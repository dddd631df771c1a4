#!/usr/bin/env bash
# Breaks the product on purpose, one bug at a time, and requires that each is found.
#   run.sh BUILD_FOLDER [MUTANT...]
# A mutant is a patch in this folder. Its header names the bug of the real world that it stands for
# (Bug:), a command that must fail with it and pass without it (Check:), and what that command must
# then print (Expect:, an extended regular expression); the command runs under another one that
# the header may name (Under:). With "Build: watch" it is tried only in a
# build that has CHRONOVISOR_WATCH, and nothing else is. The objects that a patch changes are built
# anew beside BUILD_FOLDER, a Ninja build of the whole tree, and linked in place of its own; the
# tree itself stays as it is.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
[ $# -ge 1 ] && [ -f "$1/build.ninja" ] || {
  sed -n '2,3s/^# \{0,1\}//p' "$0" >&2
  exit 2
}
build=$(cd "$1" && pwd)
shift
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
seconds_to_fail=120

header() { sed -n "s/^$1: *//p" "$2" | head -n 1; }

# Where Ninja has an executable of this name, below the build folder.
target_path() {
  ninja -C "$build" -t targets all |
    sed -n "s#^\\(\\(.*/\\)\\{0,1\\}$1\\): CXX_EXECUTABLE_LINKER.*#\\1#p" | head -n 1
}

# Objects that a changed file is compiled into: OBJECT SOURCE, a line each, sources by full names
# (Ninja has them as seen from the build folder if that lies beside the tree).
all_objects() {
  ninja -C "$build" -t deps | awk '
    /^[^ ]/ { sub(/:$/, "", $1); object = $1; first = 1; next }
    first && NF { print object, $1; first = 0 }' >"$work/objects"
  paste -d ' ' <(cut -d ' ' -f 1 "$work/objects") \
    <(cd "$build" && cut -d ' ' -f 2 "$work/objects" | xargs realpath -ms)
}
objects_that_include() {
  ninja -C "$build" -t deps | awk -v suffix="/$1" '
    /^[^ ]/ { sub(/:$/, "", $1); object = $1; next }
    NF && substr($1, length($1) - length(suffix) + 1) == suffix { print object }' | sort -u
}

# Compiles one object of the build folder against the overlay: compile OVERLAY OBJECT SOURCE OUTPUT
compile() {
  local command source=$3
  [ ! -f "$1/${3#"$root"/}" ] || source=$1/${3#"$root"/}
  command=$(ninja -C "$build" -t commands -s "$2" |
    sed -e "s# -MD -MT [^ ]* -MF [^ ]*##" -e "s# -I# -I$1 -I#" \
      -e "s# -o [^ ]* -c [^ ]*# -Wno-error -w -o $4 -c $source#")
  (cd "$build" && eval "$command")
}

# Links the target of the build folder with other objects: link TARGET OUTPUT OBJECTS_FOLDER
# An object that an archive also has takes its place, because the archive comes later.
link() {
  local command added=() object
  command=$(ninja -C "$build" -t commands -s "$1")
  for object in $(cd "$3" && find . -name '*.o' | sed 's#^\./##'); do
    if [[ $command == *" $object "* ]]; then
      command=${command/" $object "/" $3/$object "}
    else
      added+=("$3/$object")
    fi
  done
  command=$(sed "s# -o [^ ]* # -o $2 ${added[*]-} #" <<<"$command")
  (cd "$build" && eval "$command")
}

# Whether an object belongs to what is linked into a target.
belongs() {
  local archive
  [[ $2 != *" $1 "* ]] || return 0
  archive=$(sed -n 's#^\(.*/\)\{0,1\}CMakeFiles/\([^/]*\)\.dir/.*#\1lib\2.a#p' <<<"$1")
  [[ $2 == *" $archive "* ]]
}

# Runs a check with a program in place of the build folder's own, under a command if one is given;
# prints all it says.
run_check() {
  local words under
  read -ra words <<<"$2"
  read -ra under <<<"${3-}"
  (cd "$work" && timeout "$seconds_to_fail" ${under[@]+"${under[@]}"} "$1" "${words[@]:1}" 2>&1) ||
    return $?
}

# The check of a mutant as a command line, scenarios by their full names.
check_of() { header Check "$1" | sed -E "s# ((tests/mutants|scenarios)/)# $root/\\1#g"; }

fail() {
  echo "FAIL $1: $2" >&2
  [ $# -lt 3 ] || grep -E 'VIOLATED|error|FAILED' -A 3 <<<"$3" | head -n 15 | sed 's/^/    /' >&2
  return 1
}

try_mutant() {
  local patch_file=$1 name overlay objects check expect target linked output status=0
  name=$(basename "$patch_file" .patch)
  overlay=$work/$name/overlay
  objects=$work/$name/objects
  mkdir -p "$overlay" "$objects" "$work/$name/bin"
  check=$(check_of "$patch_file")
  expect=$(header Expect "$patch_file")
  [ -n "$check" ] && [ -n "$expect" ] && [ -n "$(header Bug "$patch_file")" ] ||
    { fail "$name" "its header lacks Bug, Check or Expect"; return; }
  local file
  while read -r file; do
    mkdir -p "$overlay/$(dirname "$file")"
    cp "$root/$file" "$overlay/$file"
  done < <(sed -n 's#^+++ b/\([^\t]*\).*#\1#p' "$patch_file")
  output=$(patch -s -F 0 -p1 -d "$overlay" --no-backup-if-mismatch <"$patch_file" 2>&1) ||
    { fail "$name" "the patch no longer applies: adapt it to the code" "$output"; return; }
  local executable=${check%% *}
  target=$(target_path "$executable")
  [ -n "$target" ] && [ -x "$build/$target" ] ||
    { fail "$name" "$executable is not built in $build"; return; }
  linked=$(ninja -C "$build" -t commands -s "$target")
  local object source count=0
  while read -r object source; do
    belongs "$object" "$linked" || continue
    [[ $source == /* ]] || source=$build/$source
    mkdir -p "$objects/$(dirname "$object")"
    output=$(compile "$overlay" "$object" "$source" "$objects/$object" 2>&1) ||
      { fail "$name" "the broken code does not compile" "$output"; return; }
    count=$((count + 1))
  done < <(while read -r file; do
    case $file in
      *.h) objects_that_include "$file" ;;
      *) awk -v file="$root/$file" '$2 == file { print $1 }' "$work/all_objects" ;;
    esac
  done < <(cd "$overlay" && find . -type f | sed 's#^\./##') | sort -u |
    awk 'NR == FNR { wanted[$1] = 1; next } $1 in wanted' - "$work/all_objects")
  [ "$count" -gt 0 ] || { fail "$name" "nothing of $executable is built from what it changes"; return; }
  local program=$work/$name/bin/$executable
  output=$(link "$target" "$program" "$objects" 2>&1) ||
    { fail "$name" "the broken code does not link" "$output"; return; }
  ln -s "$build/scenarios" "$work/$name/bin/scenarios"
  output=$(run_check "$program" "$check" "$(header Under "$patch_file")") || status=$?
  [ "$status" -ne 0 ] || { fail "$name" "not found: $check passes" "$output"; return; }
  grep -Eq "$expect" <<<"$output" ||
    { fail "$name" "$check fails without saying \"$expect\"" "$output"; return; }
  echo "found $name ($(grep -Eo "$expect" <<<"$output" | head -n 1))"
}

kind_of_build=$(grep -q '^CHRONOVISOR_WATCH:BOOL=ON' "$build/CMakeCache.txt" && echo watch || true)
patches=()
for patch_file in "$here"/*.patch; do
  name=$(basename "$patch_file" .patch)
  [ "$(header Build "$patch_file")" = "$kind_of_build" ] || continue
  [ $# -eq 0 ] || [[ " $* " == *" $name "* ]] || continue
  patches+=("$patch_file")
done
[ ${#patches[@]} -gt 0 ] || { echo "no mutant of this name for this build" >&2; exit 2; }
# What is not built anew must be as the tree has it.
read -ra executables < <(for patch_file in "${patches[@]}"; do header Check "$patch_file"; done |
  sed 's/ .*//' | sort -u | xargs)
cmake --build "$build" --target "${executables[@]}" >"$work/build.log" || {
  cat "$work/build.log" >&2
  exit 3
}
all_objects >"$work/all_objects"

failures=0
# Without a bug every check passes; else its failure would say nothing.
while IFS='|' read -r check under; do
  [ -n "$check" ] || continue
  target=$(target_path "${check%% *}")
  [ -n "$target" ] && [ -x "$build/$target" ] || continue  # told with its mutant
  output=$(run_check "$build/$target" "$check" "$under") ||
    { fail "${check%% *}" "fails without any bug: $check" "$output" || failures=$((failures + 1)); }
done < <(for patch_file in "${patches[@]}"; do
  echo "$(check_of "$patch_file")|$(header Under "$patch_file")"
done | sort -u)

running=0
for patch_file in "${patches[@]}"; do
  try_mutant "$patch_file" &
  running=$((running + 1))
  if [ "$running" -ge "$(nproc)" ]; then
    wait -n || failures=$((failures + 1))
    running=$((running - 1))
  fi
done
while [ "$running" -gt 0 ]; do
  wait -n || failures=$((failures + 1))
  running=$((running - 1))
done
echo "${#patches[@]} mutants, $failures failures"
[ "$failures" -eq 0 ]
