#!/usr/bin/env bash
# A program links with its own set of the seam's instructions and not with the other's.
#   link_sets.sh SOURCE_FOLDER COMPILER COMMON_OBJECT VMX_ROOT_OBJECT GUEST_OBJECT
set -euo pipefail
source_folder=$1 compiler=$2 common=$3 vmx_root=$4 guest=$5
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

cat > "$folder/uses_vmread.cpp" <<'CODE'
#include "machine/vmx_root.h"
extern "C" void _start() {
  static_cast<void>(machine::vmread(machine::VmcsReadOnly32::kExitReason));
  machine::pause();
}
CODE
cat > "$folder/uses_hypercall.cpp" <<'CODE'
#include "machine/guest.h"
extern "C" void _start() {
  machine::hypercall(machine::Gpa(), 0, 0, 0);
  machine::pause();
}
CODE

# links PROGRAM OBJECT...: whether it links, with what the linker scripts would supply.
links() {
  local program=$1
  shift
  "$compiler" -std=c++23 -ffreestanding -nostdlib -static -no-pie -Wl,--gc-sections \
    -Wl,--defsym,metal_arena_begin=0,--defsym,metal_arena_end=0,--defsym,metal_image_begin=0 \
    -I "$source_folder" "$folder/$program.cpp" "$@" -o "$folder/$program" 2>"$folder/errors"
}
fail() {
  echo "$1" >&2
  cat "$folder/errors" >&2
  exit 1
}

links uses_vmread "$common" "$vmx_root" || fail "vmread does not link with the VMX root set"
links uses_hypercall "$common" "$guest" || fail "hypercall does not link with the guest set"
if links uses_vmread "$common" "$guest"; then fail "vmread links in a guest"; fi
grep -q 'undefined reference to `machine::vmread' "$folder/errors" ||
  fail "a guest with vmread fails to link for another reason"
if links uses_hypercall "$common" "$vmx_root"; then fail "hypercall links in the hypervisor"; fi
grep -q 'undefined reference to `machine::hypercall' "$folder/errors" ||
  fail "a hypervisor with hypercall fails to link for another reason"
