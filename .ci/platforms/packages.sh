#!/usr/bin/env bash
# The package for Node after it was packed into an RPM and a .deb, whose build tools
# strip programs: the sidecar must still be recognized.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

[ "$(uname -sm)" = "Linux x86_64" ] || cannot "the sidecar that is packed is for Linux on x64, and this is $(uname -sm)"
need strip binutils
need rpmbuild rpm
need rpm2archive rpm
need dpkg-deb dpkg
temporary_folder
passed=0 failed=0

program=node_modules/@whop-license/sidecar-linux-x64/bin/whop-license-sidecar
app=$folder/app
mkdir "$app"
echo '{ "name": "my-app", "version": "1.0.0" }' >"$app/package.json"
npm install --prefix "$app" --offline --no-audit --no-fund --loglevel=error \
	"$root"/js/pack/whop-license-[0-9]*.tgz "$root"/js/pack/whop-license-sidecar-linux-x64-*.tgz

# Asks the installed app's sidecar, whose bytes must not be the published ones: recognized NAME FOLDER
recognized() {
	local id
	if cmp -s "$app/$program" "$2/$program"; then
		echo "FAILED: $1 has not stripped the program"
	elif id=$(cd "$2" && node -e 'require("whop-license/sidecar").machineId().then(({ id }) => console.log(id))' 2>&1) && [[ $id =~ ^[0-9a-f]{64}$ ]]; then
		echo "$1: the stripped program is recognized"
		passed=$((passed + 1))
		return
	else
		echo "FAILED: $1: $id"
	fi
	failed=$((failed + 1))
}

# As electron-installer-redhat does, and so Electron Forge's maker: rpmbuild's own scripts strip.
cat >"$folder/app.spec" <<-SPEC
	Name: my-app
	Version: 1.0.0
	Release: 1
	Summary: An app
	License: MIT
	AutoReqProv: no

	%description
	An app.

	%install
	mkdir -p %{buildroot}/usr/lib
	cp -r $app %{buildroot}/usr/lib/my-app

	%files
	/usr/lib/my-app/
SPEC
rpmbuild -bb --quiet --define "_topdir $folder/rpm" "$folder/app.spec"
mkdir "$folder/from-rpm"
rpm2archive - <"$(ls "$folder"/rpm/RPMS/*/*.rpm)" | tar -xz -C "$folder/from-rpm"
recognized rpmbuild "$folder/from-rpm/usr/lib/my-app"

# As dh_strip does it for a .deb.
mkdir -p "$folder/deb/DEBIAN" "$folder/deb/usr/lib"
printf '%s\n' "Package: my-app" "Version: 1.0.0" "Architecture: amd64" \
	"Maintainer: An app <app@example.com>" "Description: An app" >"$folder/deb/DEBIAN/control"
cp -r "$app" "$folder/deb/usr/lib/my-app"
strip --remove-section=.comment --remove-section=.note "$folder/deb/usr/lib/my-app/$program"
dpkg-deb --root-owner-group --build "$folder/deb" "$folder/app.deb" >/dev/null
dpkg-deb --extract "$folder/app.deb" "$folder/from-deb"
recognized dpkg-deb "$folder/from-deb/usr/lib/my-app"

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
