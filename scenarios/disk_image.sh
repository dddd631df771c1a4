#!/usr/bin/env bash
# Makes the 16 MiB ext4 image that scenarios call "ext4-image", byte-identical wherever it is made.
#   disk_image.sh OUTPUT
#
# mkfs.ext4 takes files in the order in which the host's folder lists them and keeps their change
# times, which cannot be set on the host. So each folder of the tree has one entry, and the change
# times are put right afterwards, inside the image.
set -euo pipefail
export LC_ALL=C TZ=UTC PATH="$PATH:/usr/sbin:/sbin"
export SOURCE_DATE_EPOCH=1767225600 E2FSPROGS_FAKE_TIME=1767225600 # 2026-01-01 00:00:00
umask 022

output=$1
work=$(mktemp -d "$output.XXXXXX")
trap 'rm -rf "$work"' EXIT

mkdir -p "$work/tree/library/numbers"
seq 1 1200000 >"$work/tree/library/numbers/first.txt"
find "$work/tree" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +

# The host's mke2fs.conf does not count: every feature is named here.
printf '[fs_types]\n  ext4 = {\n    blocksize = 1024\n  }\n  small = {\n  }\n' >"$work/mke2fs.conf"
features=none,has_journal,ext_attr,resize_inode,dir_index,filetype,extent,64bit,flex_bg
features+=,sparse_super,large_file,huge_file,dir_nlink,extra_isize,metadata_csum
extended=hash_seed=c0ffee00-0000-4000-8000-000000000003,root_owner=0:0
extended+=,lazy_itable_init=0,lazy_journal_init=0,nodiscard
MKE2FS_CONFIG="$work/mke2fs.conf" mkfs.ext4 -q -F -b 1024 -I 256 -N 256 -m 0 -L chronovisor \
  -O "$features" -E "$extended" -U c0ffee00-0000-4000-8000-000000000002 -J size=1 \
  -d "$work/tree" "$work/image" 16M >"$work/log" 2>&1 || {
  cat "$work/log" >&2
  exit 1
}

# atime and mtime came with the files; ctime, and what reading the tree did to atime, did not.
{
  for path in / /library /library/numbers /library/numbers/first.txt; do
    for field in atime ctime mtime crtime; do
      echo "set_inode_field $path $field @$SOURCE_DATE_EPOCH"
      echo "set_inode_field $path ${field}_extra 0"
    done
    echo "set_inode_field $path uid 0"
    echo "set_inode_field $path gid 0"
  done
} >"$work/commands"
debugfs -w -f "$work/commands" "$work/image" >"$work/log" 2>&1
if grep -Ev '^debugfs( |:)' "$work/log" | grep -q .; then
  cat "$work/log" >&2
  exit 1
fi
e2fsck -fn "$work/image" >"$work/log" 2>&1 || {
  cat "$work/log" >&2
  exit 1
}
mv "$work/image" "$output"
