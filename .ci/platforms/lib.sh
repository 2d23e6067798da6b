# What the scripts of the platforms share. Each is started by ./run, writes
# "N passed, N failed, N skipped" as its last line, and fails where a test did.

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
runtimes=$here/node_modules

# Ends a script whose platform this machine can't run: cannot REASON.
cannot() {
	echo "$1"
	exit 77
}

# need PROGRAM PACKAGE: the program is on PATH or a file.
need() {
	command -v "$1" >/dev/null || cannot "$2 is not installed: run make setup-platforms"
}

# A folder that is removed at the end, in $folder.
temporary_folder() {
	folder=$(mktemp -d "${TMPDIR:-/tmp}/whop-license-platform-XXXXXX")
	trap 'finish' EXIT
}

# What to stop or remove at the end; a script may add more.
finish() {
	rm -rf "$folder"
}

# Adds up what files of TAP say: summary FILE…
summary() {
	awk '/^# pass /{pass += $3} /^# (fail|cancell?ed) /{fail += $3} /^# (skipped|todo) /{skip += $3}
		END {printf "%d passed, %d failed, %d skipped\n", pass, fail, skip}' "$@"
}

# Puts the native programs, built for the Go platform in the environment, and
# what they need into $folder: programs SUFFIX
programs() {
	mkdir -p "$folder/bin"
	cp "$root/web/memberships.json" "$folder"
	local program
	for program in whop-license-sidecar whop-license-gateway whopsim; do
		(cd "$root" && CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags="-s -w" -o "$folder/bin/$program${1:-}" "./native/${program#whop-license-}")
	done
}

# Runs smoke.mjs in $folder: smoke MACHINE_ID [COMMAND…]. Its TAP is in $folder/smoke.tap.
smoke() {
	node --test-reporter=spec --test-reporter-destination=stdout \
		--test-reporter=tap --test-reporter-destination="$folder/smoke.tap" \
		"$here/smoke.mjs" "$folder" "$@"
}
