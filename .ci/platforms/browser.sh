#!/usr/bin/env bash
# The web tests that are written for every engine, in firefox or webkit.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
export ENGINE=$1

node=node screen=()
case $ENGINE in
firefox)
	FIREFOX=${FIREFOX:-$(command -v firefox-esr || command -v firefox || echo firefox-esr)}
	export FIREFOX
	need "$FIREFOX" firefox-esr
	# The tests speak with it over the WebSocket that Node has from 22 on.
	node -e 'process.exit(typeof WebSocket === "function" ? 0 : 1)' || node=$runtimes/node-24/bin/node
	need "$node" node-24
	;;
webkit)
	need WebKitWebDriver webkit2gtk-driver
	need xvfb-run xvfb
	screen=(xvfb-run --auto-servernum)
	;;
esac

temporary_folder
code=0
"${screen[@]}" "$node" --test-timeout=600000 --test-reporter=spec --test-reporter-destination=stdout \
	--test-reporter=tap --test-reporter-destination="$folder/tap" \
	"$root/web/dist/test/engines/all.js" || code=$?
summary "$folder/tap"
exit $code
