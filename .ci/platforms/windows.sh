#!/usr/bin/env bash
# Windows, by Wine or as it is: the sidecar's Go tests, the package with its sidecar for
# win32-x64 under Node for Windows, and a smoke test of the servers.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

case $(uname -s) in
MINGW* | MSYS*)
	wine=() node=node
	temporary_folder
	# Paths that both bash and programs for Windows know, and arguments as they are.
	here=$(cygpath -m "$here") root=$(cygpath -m "$root") folder=$(cygpath -m "$folder")
	export MSYS_NO_PATHCONV=1
	windows_path() { cygpath -w "$1"; }
	UNC="\\\\localhost\\C\$\\Windows\\Temp\\whop license $$"
	;;
*)
	wine=("$(command -v wine64 || echo /usr/lib/wine/wine64)") node=$runtimes/node-windows/bin/node.exe
	need "${wine[0]}" wine64
	[ -e "$node" ] || cannot "node-windows is not installed: run make setup-platforms"
	temporary_folder
	wineserver=$(command -v wineserver || echo "${wine%/*}/wineserver")
	finish() {
		"$wineserver" -k || true
		rm -rf "$folder"
	}
	# A machine of its own, set to Windows 10. UTF-8 lets it use paths in any script.
	export WINEPREFIX=$folder/wine WINEDEBUG=-all LC_ALL=C.UTF-8
	unset DISPLAY
	# It would end with the last program, and a program that starts meanwhile would fail.
	mkdir -p "$WINEPREFIX" && "$wineserver" --persistent
	"${wine[@]}" wineboot --init >/dev/null 2>&1 || true
	"${wine[@]}" winecfg /v win10 >/dev/null 2>&1
	node "$here/bcryptprimitives.mjs" "$WINEPREFIX/drive_c/windows/system32/bcryptprimitives.dll"
	windows_path() { echo "Z:$1"; }
	# A place on another machine, which Wine looks for here.
	mkdir -p "$WINEPREFIX/dosdevices/unc/server/share"
	UNC='\\server\share\an app'
	# What Wine lacks for Node's fetch.
	cp "$here/wine-preload.cjs" "$folder"
	node_options="--require Z:$folder/wine-preload.cjs"
	# It is this machine's own, and ends with it.
	export MAY_CHANGE_MACHINE_ID=1
	;;
esac
"${wine[@]}" cmd /c ver

export GOOS=windows GOARCH=amd64
code=0

echo "== the sidecar's Go tests"
programs .exe
(cd "$root" && go build -o "$folder/bin/holder.exe" "$here/holder.go")
(cd "$root" && go build -o "$folder/bin/stand-in.exe" js/test/helpers/stand-in.go)
# TestImports asks go, which is not there; it has the same answer everywhere.
(cd "$root" && SIDECAR_PROGRAM=$(windows_path "$folder/bin/whop-license-sidecar.exe") \
	go test -v -skip '^TestImports$' -exec "${wine[*]}" ./native/sidecar/... ./shared/machine) >"$folder/go.log" 2>&1 || code=$?
grep -E '^(--- FAIL|FAIL|ok|panic)' "$folder/go.log" || true
[ $code = 0 ] || cat "$folder/go.log"
sed -nE 's/^--- PASS.*/# pass 1/p; s/^--- FAIL.*/# fail 1/p; s/^--- SKIP.*/# skipped 1/p' "$folder/go.log" >"$folder/go.tap"

echo "== a smoke test of the servers"
guid=$("${wine[@]}" reg query 'HKLM\Software\Microsoft\Cryptography' /v MachineGuid | tr -d '\r' | sed -nE 's/.*REG_SZ +//p')
smoke "$(printf %s "$guid" | sha256sum | cut -d' ' -f1)" "${wine[@]}" || code=$?

echo "== the package's tests"
# As it is installed, with something in the place of Electron, which it asks for.
stage=$folder/js
installed=$stage/node_modules/@whop-license/sidecar-win32-x64
mkdir -p "$installed" "$stage/node_modules/electron"
tar --force-local -xzf "$root"/js/pack/whop-license-[0-9]*.tgz -C "$stage" --strip-components=1
cp -r "$root/js/build" "$stage"
cp "$here/windows.test.mjs" "$stage/build"
ln -s "$root/shared" "$folder/shared"
for name in jose node-machine-id; do ln -s "$root/js/node_modules/$name" "$stage/node_modules/$name"; done
echo 'module.exports = {};' >"$stage/node_modules/electron/index.js"
tar --force-local -xzf "$root"/js/pack/whop-license-sidecar-win32-x64-*.tgz -C "$installed" --strip-components=1
HOLDER=$(windows_path "$folder/bin/holder.exe")
STAND_IN=$(windows_path "$folder/bin/stand-in.exe")
export HOLDER STAND_IN UNC

# file NAME [ARG…]: the tests of one file. Node's output is lost in pipes there, so it goes to files.
file() {
	local name=${1%%.*} file=$1
	shift
	(cd "$stage" && NODE_OPTIONS=${node_options:-} timeout 600 "${wine[@]}" "$node" "$@" \
		--test-reporter=spec --test-reporter-destination="$name.spec" \
		--test-reporter=tap --test-reporter-destination="../$name.tap" \
		"build/$file" >"$name.out" 2>&1) || {
		code=1
		# One that was ended has not counted.
		grep -q '^# fail [1-9]' "$folder/$name.tap" || echo "# fail 1" >>"$folder/$name.tap"
		cat "$stage/$name.spec" "$stage/$name.out"
	}
}
for name in lease-file leases lease-vectors validate; do file "$name.test.js"; done
# Those that don't read what another Node says.
file sidecar.test.js --test-name-pattern='^(the same bytes|the other schemes|invalid arguments|a thousand calls|a crash|a sidecar that hangs|abort|close$|WHOP_LICENSE_SIDECAR)'
file windows.test.mjs

summary "$folder"/*.tap
exit $code
