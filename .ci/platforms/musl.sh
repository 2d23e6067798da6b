#!/usr/bin/env bash
# The native programs without glibc, as on Alpine: their whole system is a folder
# with only busybox. They are static, so they must start there.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

need busybox busybox-static
[ "$(id -u)" = 0 ] || cannot "chroot needs root"

temporary_folder
programs
mkdir -p "$folder/etc" "$folder/dev" "$folder/tmp"
cp "$(command -v busybox)" "$folder/bin/"
for name in sh cat hostname; do ln -s busybox "$folder/bin/$name"; done
echo 0123456789abcdef0123456789abcdef >"$folder/etc/machine-id"

code=0
smoke "$(printf 0123456789abcdef0123456789abcdef | sha256sum | cut -d' ' -f1)" chroot "$folder" || code=$?
summary "$folder/smoke.tap"
exit $code
