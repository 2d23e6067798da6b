#!/usr/bin/env bash
# The native programs for arm64, under qemu.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

need qemu-aarch64-static qemu-user-static

temporary_folder
GOARCH=arm64 programs

code=0
smoke "$("$root/bin/whop-license-sidecar" machine-id)" qemu-aarch64-static || code=$?
summary "$folder/smoke.tap"
exit $code
