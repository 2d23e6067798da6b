# whop-license. `make help` lists what can be made.
#
# Go, Node, make and git are assumed; everything else is installed by the
# targets that need it.

SHELL := /bin/sh
export CGO_ENABLED ?= 0

# The suffix of a program's name: .exe on Windows, empty elsewhere.
EXE := $(shell go env GOEXE)

# The same source gives the same bytes, in whatever folder it is.
GO_BUILD := go build -trimpath -buildvcs=false
LDFLAGS  := -s -w
GO_FILES  = $(shell git ls-files -co --exclude-standard '*.go' go.mod go.sum | grep -v '_test\.go$$')

# The race detector needs a C compiler, which is not assumed. The programs that
# tests build are built without one in any case, as the shipped ones are.
ifneq ($(shell command -v gcc),)
RACE := CGO_ENABLED=1 go test -race -timeout=20m -exec 'env CGO_ENABLED=0'
else
RACE := go test -timeout=20m
endif

# As root on a Debian-like system, a system package is installed without asking.
CAN_INSTALL := $(shell [ "$$(id -u)" = 0 ] && command -v apt-get)

.PHONY: all
all: build ## Build everything (the default)

.PHONY: help
help: ## List the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-15s %s\n", $$1, $$2}' Makefile

##### Building

.PHONY: build
build: programs wasm js web

.PHONY: programs
programs: bin/whop-license-sidecar$(EXE) bin/whopsim$(EXE) bin/whop-license-gateway$(EXE) ## Build the native programs into bin/

bin/whop-license-%$(EXE): $(GO_FILES)
	$(GO_BUILD) -ldflags="$(LDFLAGS)" -o $@ ./native/$*

bin/whopsim$(EXE): $(GO_FILES)
	$(GO_BUILD) -ldflags="$(LDFLAGS)" -o $@ ./native/whopsim

.PHONY: wasm
wasm: js/dist/whop-license.wasm js/dist/wasm_exec.js ## Build the WebAssembly module into js/dist/

# make wasm LICENSE_PUBLIC_KEY=… builds the gateway's public key into the module
# (several with commas between), so that nothing in a page can replace it.
LICENSE_PUBLIC_KEY ?=

# Inlining costs download. Without it in the runtime the module is 4 % smaller by
# brotli -11, and a check takes as long.
WASM_GCFLAGS := -gcflags='runtime/...=-l' -gcflags='internal/...=-l'

js/dist/whop-license.wasm: $(GO_FILES) js/dist/.public-key
	GOOS=js GOARCH=wasm $(GO_BUILD) $(WASM_GCFLAGS) -ldflags="$(LDFLAGS) -X main.publicKey=$(LICENSE_PUBLIC_KEY)" -o $@ ./wasm

.PHONY: FORCE
js/dist/.public-key: FORCE
	@mkdir -p js/dist
	@printf '%s' '$(LICENSE_PUBLIC_KEY)' | cmp -s - $@ || printf '%s' '$(LICENSE_PUBLIC_KEY)' > $@

js/dist/wasm_exec.js: go.mod
	@mkdir -p js/dist
	cp "$$(go env GOROOT)/lib/wasm/wasm_exec.js" $@

JS_FILES  = $(shell git ls-files -co --exclude-standard js)
WEB_FILES = $(shell git ls-files -co --exclude-standard web ':!web/docs')
DOC_FILES = $(shell git ls-files -co --exclude-standard web/docs)

js/node_modules/.package-lock.json: js/package.json js/package-lock.json
	cd js && npm ci --no-audit --no-fund

web/node_modules/.package-lock.json: web/package.json web/package-lock.json
	cd web && npm ci --no-audit --no-fund

.PHONY: js
js: js/dist/.built ## Build the npm package into js/dist/

js/dist/.built: js/node_modules/.package-lock.json js/dist/whop-license.wasm js/dist/wasm_exec.js bin/whop-license-sidecar$(EXE) $(JS_FILES)
	cd js && npm run build
	@touch $@

.PHONY: pack
pack: js/pack/SHA256SUMS ## Pack the npm package, and the sidecar for each platform, into js/pack/

js/pack/SHA256SUMS: js/dist/.built
	cd js && node scripts/pack.mjs

.PHONY: web
web: web/dist/.built ## Build the launcher page into web/dist/

web/dist/.built: web/node_modules/.package-lock.json js/dist/.built $(WEB_FILES)
	cd web && npm run build
	@touch $@

# A helper of your own: make extension ORIGINS="https://launcher.example.com"
# NAME="Example Helper" SCHEME=node-machine-id KEY=public-key.txt ADDON_ID=helper@example.com
EXTENSION_SETTINGS = $(foreach name,ORIGINS NAME SCHEME KEY ADDON_ID,'$(name)=$($(name))')

.PHONY: extension
extension: web/node_modules/.package-lock.json js/dist/.built ## Build the browser extension into extension/; ORIGINS=… makes one of your own
	@node web/extension/build.mjs extension $(EXTENSION_SETTINGS)

.PHONY: release
release: pack ## Build what a release publishes into release/: npm packages, programs, Debian packages, checksums
	rm -rf release && mkdir release && cp js/pack/*.tgz release/
	cd .ci/downloads && go run . ../../release

# VitePress fails if a link leads to a page that doesn't exist.
.PHONY: docs
docs: web/docs/.vitepress/dist/index.html ## Build the documentation into a website in web/docs/.vitepress/dist/

web/docs/.vitepress/dist/index.html: web/node_modules/.package-lock.json web/launcher/favicon.svg $(DOC_FILES)
	cd web && npm run --silent docs

##### Running

.PHONY: demo
demo: build ## Show every outcome on this machine, through the real parts
	cd web && npm run --silent demo

.PHONY: launcher
launcher: build ## Serve the launcher page with sample keys until interrupted
	cd web && npm run --silent launcher

.PHONY: launcher-helper
launcher-helper: build browser ## Open the launcher in a browser that has the helper, in a temporary profile
	@cd web && npm run --silent launcher:helper

# The snippet for your page contains the port, so it stays the same.
ORIGIN ?=
PORT   ?= 8787

.PHONY: gateway
gateway: build ## Run a gateway and a simulator of Whop for your page: make gateway ORIGIN=http://localhost:5173
	@cd web && ORIGIN='$(ORIGIN)' PORT='$(PORT)' npm run --silent gateway

.PHONY: screenshots
screenshots: build browser ## Take the documentation's pictures of the gate again
	cd web && npm run --silent screenshots

##### Testing

# On a fresh machine that allows it, `make test` installs what it needs.
# Elsewhere it names everything that is missing and stops.
.PHONY: test
test: $(if $(CAN_INSTALL),setup,system) build pack bin/wasmbrowsertest ## Run every test: the parts below, side by side
	@echo "$(TEST_PARTS): $(TEST_JOBS) at a time; each part's output appears when it has ended."
	@$(MAKE) --no-print-directory --jobs=$(TEST_JOBS) --keep-going $(OUTPUT_SYNC) $(TEST_PARTS)

# The longest come first. Three at a time keep two cores busy, because the
# gateway's tests mostly wait.
TEST_PARTS := test-web test-go test-js test-fuzz test-wasm
TEST_JOBS  ?= 3

# Each part's output is printed in one piece, if make supports that.
OUTPUT_SYNC := $(if $(filter output-sync,$(.FEATURES)),--output-sync=target)

# The packages to run with the race detector: those whose goroutines share state.
RACED := ./native/... ./shared/license

# Narrow a part of the Go tests: make test-go PACKAGES=./native/gateway RUN=TestName
PACKAGES ?=
RUN      ?=
run_only  = $(if $(RUN),-run '$(RUN)')

.PHONY: test-go
test-go: programs redis proxies js/dist/whop-license.wasm ## Test the Go code natively, with the race detector where there is gcc
	$(RACE) $(run_only) $(or $(PACKAGES),$(RACED))
	$(if $(PACKAGES),,go test $(run_only) $$(go list ./... | grep -vxF "$$(go list $(RACED))"))

# go test under GOOS=js runs in a headless browser. The browser wrapper is built
# for this machine first, and the environment kept short, as js/wasm holds
# arguments and environment in a few kilobytes.
.PHONY: test-wasm
test-wasm: bin/wasmbrowsertest browser ## Test the Go code in a headless browser
	@! shell=$$(command -v chromium-headless-shell) || ln -sf "$$shell" bin/headless-shell # the name it is looked for
	env -i PATH="$(CURDIR)/bin:$$PATH" HOME="$$HOME" GOCACHE="$$(go env GOCACHE)" GOMODCACHE="$$(go env GOMODCACHE)" \
		GOPROXY="$$(go env GOPROXY)" GOFLAGS="$$(go env GOFLAGS)" GOOS=js GOARCH=wasm \
		go test -exec "$(CURDIR)/bin/wasmbrowsertest" $(run_only) $(or $(PACKAGES),./wasm ./shared/...)

bin/wasmbrowsertest: go.mod go.sum
	go build -o $@ github.com/agnivade/wasmbrowsertest

# Each fuzz target runs for a count, not for a time, so that a slow machine
# tests as much as a fast one.
FUZZ_COUNT ?= 100000x
FUZZ       ?= Fuzz

.PHONY: fuzz
fuzz: ## Fuzz at length: every target, or FUZZ=name in PACKAGES=folder, FUZZ_COUNT times
	@.ci/fuzz -fuzz=. "$(FUZZ_COUNT)" "$(FUZZ)" $(PACKAGES)

.PHONY: test-fuzz
test-fuzz: ## Fuzz each target briefly
	@.ci/fuzz "-gcflags=$$(go list -m)/...=-d=libfuzzer" 1000x

.PHONY: test-js
test-js: js programs pack signer ## Test the npm package, as built and as packed
	cd js && npm test

.PHONY: test-web
test-web: build pack browser proxies ## Test pages and Electron apps end to end in a browser
	cd web && npm test

.PHONY: test-monitoring
test-monitoring: bin/promtool ## Test the gateway's alerts with Prometheus's own tool
	bin/promtool check rules native/gateway/monitoring/alerts.yaml
	bin/promtool test rules native/gateway/monitoring/alerts_test.yaml
	@dir=$$(mktemp -d) && trap 'rm -rf "$$dir"' EXIT && cp native/gateway/monitoring/alerts.yaml "$$dir" && \
	sed -n '/^```yaml$$/,/^```$$/{/^```/d;p;}' web/docs/operating.md > "$$dir/prometheus.yml" && \
	bin/promtool check config "$$dir/prometheus.yml" # as the documentation shows it

# If it is missing, it is extracted from Debian's package, which would start a
# server if it were installed.
bin/promtool:
	@mkdir -p bin
	@if path=$$(command -v promtool); then ln -sf "$$path" $@; exit; fi; \
	dir=$$(mktemp -d) && trap 'rm -rf "$$dir"' EXIT && cd "$$dir" && \
	download() { apt-get -o APT::Sandbox::User=root download prometheus >/dev/null 2>&1; } && \
	{ download || { apt-get update >/dev/null 2>&1; download; }; } && \
	dpkg-deb --fsys-tarfile ./*.deb | tar -xO ./usr/bin/promtool > promtool && chmod +x promtool && mv promtool "$(CURDIR)/$@" || \
	{ echo "The tests of the alerts need promtool: install Prometheus and put promtool on PATH." >&2; exit 1; }

# The templates that people start from, changed by what the docs show.
.PHONY: test-frameworks
test-frameworks: build pack browser ## Follow the docs' recipes in frameworks' own templates, and test the results
	cd web && npm run --silent test:frameworks

# A test CA takes a minute of processor time to build.
.PHONY: test-acme
test-acme: build pebble browser ## Test certificates from a CA, and the deploy page's first hour, against Pebble, Let's Encrypt's test CA
	go test -tags pebble -timeout=10m ./native/gateway/internal/acme
	go test -tags pebble -timeout=10m -run Pebble ./native/gateway
	cd web && npm run --silent test:acme

.PHONY: pebble
pebble: bin/pebble

bin/pebble: .ci/pebble/go.mod .ci/pebble/go.sum
	cd .ci/pebble && go build -trimpath -o ../../bin/ tool
	@touch $@

# What depends on the operating system, for those that have no Redis and no Chromium.
.PHONY: test-desktop
test-desktop: build pack ## Test what depends on the system: the sidecar, the packages, Electron apps
	go test ./native/sidecar/... ./shared/...
	cd js && npm test
	cd web && node --test --test-timeout=600000 dist/test/electron*.test.js

# The platforms of customers, as far as this machine has them: .ci/platforms/README.md.
.PHONY: test-platforms
test-platforms: build pack js-tests ## Test on Windows (Wine), Firefox, WebKit, newer Nodes, Bun, Deno, arm64 and musl
	@.ci/platforms/run

PLATFORMS_TESTED := windows firefox webkit node-22 node-24 node-26 bun deno packages arm64 musl

.PHONY: $(PLATFORMS_TESTED:%=test-%)
$(PLATFORMS_TESTED:%=test-%): test-%: build pack js-tests
	@.ci/platforms/run $*

.PHONY: js-tests
js-tests: js
	cd js && rm -rf build && npx tsc -p tsconfig.test.json

.PHONY: bench
bench: build pack browser redis ## Measure the budgets of size and speed
	@status=0; (cd web && npm run --silent bench) || status=1; \
	echo; (go run ./web/bench/gateway) || status=1; exit $$status

.PHONY: check
check: bin/staticcheck bin/actionlint bin/misspell pack web/dist/.built web/docs/.vitepress/dist/index.html ## Check formatting, vet, lint, types, the packages' entries, spelling, workflows, links, and that nothing generated is committed
	@unformatted=$$(gofmt -l native shared wasm web .ci/downloads); test -z "$$unformatted" || { echo "gofmt: $$unformatted"; exit 1; }
	go vet ./...
	go vet -tags pebble ./native/gateway/...
	GOOS=js GOARCH=wasm go vet ./wasm ./shared/... ./web/...
	GOOS=windows go vet ./native/... ./shared/...
	GOOS=darwin go vet ./native/... ./shared/...
	bin/staticcheck ./...
	bin/staticcheck -tags pebble ./native/gateway/...
	GOOS=js GOARCH=wasm bin/staticcheck ./wasm ./shared/...
	GOOS=windows bin/staticcheck ./native/sidecar
	GOOS=darwin bin/staticcheck ./native/sidecar
	bin/actionlint
	@git ls-files -co --exclude-standard | grep -vE '(^|/)(package-lock\.json|go\.sum|LICENSE)$$|\.(png|ico)$$' | xargs bin/misspell -locale US -error
	go mod tidy -diff
	go mod verify
	@generated=$$(git ls-files bin js/dist js/build js/pack release .ci/downloads/built extension web/dist web/docs/.vitepress/dist web/docs/.vitepress/cache '*.wasm' '*wasm_exec*' '*.tgz' '*node_modules*'); test -z "$$generated" || { echo "generated files are committed: $$generated"; exit 1; }
	cd js && npm run lint && npm run types && npm run --silent entries
	cd web && npm run lint && npm run types && npm run links

# Three platforms stand for all, and this machine's must be one of them. Building
# for each other platform takes a minute the first time.
DOWNLOADS_TESTED := linux-x64 linux-arm64 win32-x64

# What changes a machine runs in a disposable copy of this one, which requires root.
.PHONY: test-downloads
test-downloads: programs bin/staticcheck proxies downloads-system ## Test the downloads and the hosting recipes, as root on Debian
	cd .ci/downloads && rm -rf built && mkdir built && go run . built $(DOWNLOADS_TESTED)
	cd .ci/downloads && go vet ./... && ../../bin/staticcheck ./...
	cd .ci/downloads && TARGETS='$(DOWNLOADS_TESTED)' go test . && go test -c -o ../../bin/hosting.test ./hosting
	.ci/downloads/machine ../../bin/hosting.test -test.timeout=10m

# It has 300 packages, which nothing else needs.
.PHONY: test-extension
test-extension: build browser screen ## Test the browser extension in Chromium
	cd web && node --test --test-timeout=600000 dist/test/extension/*.test.js

.PHONY: check-extension
check-extension: web/dist/.built .ci/extension/node_modules/.package-lock.json ## Check the browser extension as Mozilla does
	.ci/extension/node_modules/.bin/web-ext lint --warnings-as-errors --source-dir web/dist/extension/firefox

.ci/extension/node_modules/.package-lock.json: .ci/extension/package-lock.json
	cd .ci/extension && npm ci --ignore-scripts --no-audit --no-fund

.PHONY: clean
clean: ## Remove everything that was built
	rm -rf bin extension release .ci/downloads/built js/dist js/build js/pack js/node_modules web/dist web/docs/.vitepress/dist web/docs/.vitepress/cache web/node_modules

# Built for this machine, also when the code is built for another.
bin/staticcheck: go.mod go.sum
	go build -o $@ honnef.co/go/tools/cmd/staticcheck

bin/actionlint: go.mod go.sum
	go build -o $@ github.com/rhysd/actionlint/cmd/actionlint

bin/misspell: go.mod go.sum
	go build -o $@ github.com/golangci/misspell/cmd/misspell

##### Set-up

.PHONY: setup
setup: system js/node_modules/.package-lock.json web/node_modules/.package-lock.json bin/wasmbrowsertest bin/staticcheck bin/actionlint bin/misspell ## Install what the tests and checks need

.PHONY: setup-platforms
setup-platforms: ## Install what make test-platforms needs (about 600 MB, as root)
	@.ci/platforms/setup

# need PACKAGE, MESSAGE, PROGRAM…: any one of the programs is enough. Debian's
# package is installed where that can be done without asking.
define NEED
need() { \
	package=$$1; message=$$2; shift 2; \
	for program; do command -v "$$program" >/dev/null 2>&1 && return; done; \
	if [ -z "$(CAN_INSTALL)" ]; then echo "$$message" >&2; return 1; fi; \
	{ apt-get install -y --no-install-recommends $$package || \
		{ apt-get update && apt-get install -y --no-install-recommends $$package; }; } >/dev/null; \
};
endef

BROWSER  := need chromium "The browser tests need Chromium: install chromium or google-chrome and put it on PATH." chromium chromium-browser google-chrome
HEADLESS := need chromium-headless-shell "The browser tests run in Chromium; with Debian's chromium-headless-shell, which is the same engine, they take a third of the processor's time." chromium-headless-shell
REDIS    := need redis-server "The gateway's tests need redis-server: install Redis and put it on PATH." redis-server
# Debian has these two in a folder that is not on every user's PATH.
NGINX    := need nginx "The tests of what stands between need nginx: install it and put it on PATH." nginx /usr/sbin/nginx
HAPROXY  := need haproxy "The tests of what stands between need HAProxy: install it and put it on PATH." haproxy /usr/sbin/haproxy
# Only one test needs these two, and it says so if they are missing.
SIGNER   := need osslsigncode "One test signs a Windows program with osslsigncode and is skipped without it." osslsigncode
OPENSSL  := need openssl "Tests of signed programs and of TLS need openssl." openssl

.PHONY: system
system:
	@$(NEED) status=0; \
	$(BROWSER) || status=1; $(REDIS) || status=1; $(NGINX) || status=1; $(HAPROXY) || status=1; \
	$(HEADLESS); $(SIGNER); $(OPENSSL); exit $$status

.PHONY: browser
browser:
	@$(NEED) $(BROWSER) && { $(HEADLESS); :; }

SCREEN   := need xvfb "The tests of make launcher-helper open a window on a screen of Xvfb, and are skipped without it." Xvfb

.PHONY: screen
screen:
	@$(NEED) $(SCREEN); :

.PHONY: redis
redis:
	@$(NEED) $(REDIS)

.PHONY: proxies
proxies:
	@$(NEED) $(NGINX) && $(HAPROXY)

CADDY    := need caddy "The tests of hosting recipes need Caddy: install it and put it on PATH." caddy
LINTIAN  := need lintian "The tests of downloads need lintian, and with it dpkg." lintian
IPROUTE  := need iproute2 "The tests of hosting recipes need ip, of iproute2." ip /usr/sbin/ip
SYSTEMD  := need systemd "The tests of downloads need systemd-analyze, of systemd." systemd-analyze

.PHONY: downloads-system
downloads-system: redis
	@$(NEED) status=0; $(CADDY) || status=1; $(LINTIAN) || status=1; $(IPROUTE) || status=1; $(SYSTEMD) || status=1; $(OPENSSL) || status=1; \
	[ "$$(id -u)" = 0 ] || { echo "The tests of downloads make a disposable copy of this machine: run them as root, on Linux." >&2; status=1; }; exit $$status

.PHONY: signer
signer:
	@$(NEED) $(SIGNER); $(OPENSSL); :
