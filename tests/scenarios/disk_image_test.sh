#!/usr/bin/env bash
# The disk of scenarios is part of their hashes: every build on every machine must make the same.
#   disk_image_test.sh DISK_IMAGE_SCRIPT
set -euo pipefail
expected=7a3a394cbde1ef3609dcc8d6c9b0e57e172b7828ddf823ad7ef2860d3f769475

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$1" "$work/first.img"
sleep 1.1 # another second, another umask, another time zone, another folder
mkdir "$work/other"
(umask 077 && cd / && TZ=Asia/Tokyo "$1" "$work/other/second.img")
for image in "$work/first.img" "$work/other/second.img"; do
  found=$(sha256sum <"$image" | cut -d' ' -f1)
  if [ "$found" != "$expected" ]; then
    echo "$image: SHA-256 is $found, not $expected" >&2
    exit 1
  fi
done
