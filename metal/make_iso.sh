#!/usr/bin/env bash
# Makes an image that GRUB boots from a BIOS, of the files of a folder. Quiet unless it fails.
#   make_iso.sh OUTPUT FOLDER
set -euo pipefail
log=$(mktemp)
trap 'rm -f "$log"' EXIT
grub-mkrescue -d /usr/lib/grub/i386-pc \
  --install-modules="multiboot2 normal biosdisk iso9660 part_msdos boot configfile" \
  --locales= --fonts= --themes= -o "$1" "$2" >"$log" 2>&1 || {
  cat "$log" >&2
  exit 1
}
