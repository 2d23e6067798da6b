#!/usr/bin/env bash
# The npm package's own tests in another runtime: node-22, node-24, node-26, bun or deno.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
runtime=$1
cd "$root/js"

# The compiled tests of these names, each of which must be there.
files() {
	local name
	for name; do ls "./build/$name.test.js"; done
}

[ "$(uname -sm)" = "Linux x86_64" ] || cannot "its npm package is for Linux on x64, and this is $(uname -sm)"
case $runtime in
node-*) program=$runtimes/$runtime/bin/node ;;
bun) program=$runtimes/bun/bin/bun ;;
deno) program=$runtimes/deno/deno ;;
esac
need "$program" "$runtime"
echo "$runtime $("$program" --version | head -n 1)"

temporary_folder

code=0
case $runtime in
node-*)
	# What is packed, installed and stripped, and how, is tested once, and does not depend
	# on the runtime. On two of them, neither does what computes only: those are the files
	# that read and write, ask, start programs, or load modules.
	tests=$(ls build/*.test.js | grep -vE '/(asar|pack|package|package-managers|sidecar-(digest|package|strip))\.test')
	[ "$runtime" = node-24 ] || tests=$(files load validate leases lease-file sidecar sidecar-start electron-renderer electron-host)
	PATH=$(dirname "$program"):$PATH
	node --test --test-timeout=600000 --test-reporter=spec --test-reporter-destination=stdout \
		--test-reporter=tap --test-reporter-destination="$folder/tap" \
		$tests || code=$?
	summary "$folder/tap"
	;;
bun)
	# Not those that need Node's own flags, its mock timers, its hooks for modules, or
	# its file system with some functions replaced,
	# nor the vectors, which know of Node that its fetch rejects a status 407.
	tests=$(files electron-renderer electron-host load validate leases lease-clock lease-vectors \
		lease-file lease-store revalidate sidecar)
	"$program" test --timeout 120000 --test-name-pattern \
		'^(?!.*(without a global crypto|synced before the rename|store that hangs|outside of Electron|virus scanner|removal that|follow links))' \
		$tests 2>&1 | tee "$folder/log" || code=$?
	awk '/^ +[0-9]+ pass$/{pass = $1} /^ +[0-9]+ fail$/{fail = $1}
		END {printf "%d passed, %d failed\n", pass, fail}' "$folder/log"
	;;
deno)
	# Its node:test leaves mocks in place after a test, so these are the files
	# without any, but for the vectors, as above. Of the sidecar's, those whose
	# stand-ins need no Node.
	tests=$(files electron-renderer leases lease-vectors)
	sidecar=$(files sidecar)
	NO_COLOR=1 "$program" test -A --no-check $tests 2>&1 | tee "$folder/log" || code=$?
	NO_COLOR=1 "$program" test -A --no-check \
		--filter '/^(the same bytes|the other schemes|invalid arguments|a thousand calls|abort|close$)/' \
		$sidecar 2>&1 | tee -a "$folder/log" || code=$?
	awk '/ passed .*\| [0-9]+ failed/{for (i = 2; i <= NF; i++) {if ($i == "passed") pass += $(i - 1); if ($i == "failed") fail += $(i - 1)}}
		END {printf "%d passed, %d failed\n", pass, fail}' "$folder/log"
	;;
esac
exit $code
