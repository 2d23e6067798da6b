# whop-license. `make help` lists what can be made.
#
# Go, Node, make and git are assumed; everything else is installed by the
# targets that need it.

SHELL := /bin/sh
export CGO_ENABLED ?= 0

# The same source gives the same bytes, wherever it lies.
GO_BUILD := go build -trimpath -buildvcs=false
LDFLAGS  := -s -w
PROGRAMS := whop-license-sidecar whopsim whop-license-gateway
GO_FILES  = $(shell git ls-files -co --exclude-standard '*.go' go.mod go.sum | grep -v '_test\.go$$')

# The race detector needs a C compiler, which is not assumed.
ifneq ($(shell command -v gcc),)
RACE := CGO_ENABLED=1 go test -race
else
RACE := go test
endif

.PHONY: all
all: build ## Build everything (the default)

.PHONY: help
help: ## List the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' Makefile

##### Building

.PHONY: build
build: programs wasm js web

.PHONY: programs
programs: bin/whop-license-sidecar bin/whopsim bin/whop-license-gateway ## Build the native programs into bin/

bin/whop-license-%: $(GO_FILES)
	$(GO_BUILD) -ldflags="$(LDFLAGS)" -o $@ ./native/$*

bin/whopsim: $(GO_FILES)
	$(GO_BUILD) -ldflags="$(LDFLAGS)" -o $@ ./native/whopsim

.PHONY: wasm
wasm: js/dist/whop-license.wasm js/dist/wasm_exec.js ## Build the WebAssembly module into js/dist/

# make wasm LICENSE_PUBLIC_KEY=… builds the gateway's public key into the module
# (several with commas between), so that nothing in a page can replace it.
LICENSE_PUBLIC_KEY ?=

js/dist/whop-license.wasm: $(GO_FILES) js/dist/.public-key
	GOOS=js GOARCH=wasm $(GO_BUILD) -ldflags="$(LDFLAGS) -X main.publicKey=$(LICENSE_PUBLIC_KEY)" -o $@ ./wasm

.PHONY: FORCE
js/dist/.public-key: FORCE
	@mkdir -p js/dist
	@printf '%s' '$(LICENSE_PUBLIC_KEY)' | cmp -s - $@ || printf '%s' '$(LICENSE_PUBLIC_KEY)' > $@

js/dist/wasm_exec.js: go.mod
	@mkdir -p js/dist
	cp "$$(go env GOROOT)/lib/wasm/wasm_exec.js" $@

JS_FILES  = $(shell git ls-files -co --exclude-standard js)
WEB_FILES = $(shell git ls-files -co --exclude-standard web)

js/node_modules/.package-lock.json: js/package.json js/package-lock.json
	cd js && npm ci --no-audit --no-fund

web/node_modules/.package-lock.json: web/package.json web/package-lock.json
	cd web && npm ci --no-audit --no-fund

.PHONY: js
js: js/dist/.built ## Build the npm package into js/dist/

js/dist/.built: js/node_modules/.package-lock.json js/dist/whop-license.wasm js/dist/wasm_exec.js bin/whop-license-sidecar $(JS_FILES)
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

##### Running

.PHONY: demo
demo: build ## Show every outcome on this machine, through the real parts
	cd web && npm run --silent demo

.PHONY: launcher
launcher: build ## Serve the launcher page with sample keys until interrupted
	cd web && npm run --silent launcher

##### Testing

.PHONY: test
test: build browser redis proxies test-go test-wasm test-fuzz test-js test-web ## Run every test

.PHONY: test-go
test-go: programs redis js/dist/whop-license.wasm
	$(RACE) ./...

# go test under GOOS=js runs in a headless browser. The browser wrapper is built
# for this machine first, and the environment kept short, as js/wasm holds
# arguments and environment in a few kilobytes.
.PHONY: test-wasm
test-wasm: bin/wasmbrowsertest browser
	env -i PATH="$$PATH" HOME="$$HOME" GOCACHE="$$(go env GOCACHE)" GOMODCACHE="$$(go env GOMODCACHE)" \
		GOPROXY="$$(go env GOPROXY)" GOFLAGS="$$(go env GOFLAGS)" GOOS=js GOARCH=wasm \
		go test -exec "$(CURDIR)/bin/wasmbrowsertest" ./wasm ./shared/...

bin/wasmbrowsertest: go.mod go.sum
	go build -o $@ github.com/agnivade/wasmbrowsertest

# Each fuzz target runs for a count, not for a time, so that a slow machine
# tests as much as a fast one.
FUZZ_COUNT ?= 3000x

.PHONY: test-fuzz
test-fuzz:
	@set -e; for package in $$(go list ./...); do \
		for target in $$(go test -list '^Fuzz' $$package | grep '^Fuzz' || true); do \
			echo "fuzz $$package $$target"; \
			go test $$package -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZ_COUNT) >/tmp/fuzz.$$$$ 2>&1 || { cat /tmp/fuzz.$$$$; rm -f /tmp/fuzz.$$$$; exit 1; }; \
			rm -f /tmp/fuzz.$$$$; \
		done; \
	done

.PHONY: test-js
test-js: js programs pack signer
	cd js && npm test

.PHONY: test-web
test-web: build browser proxies
	cd web && npm test

.PHONY: bench
bench: build pack browser redis ## Measure the budgets of size and speed
	@status=0; (cd web && npm run --silent bench) || status=1; \
	echo; (cd native/gateway && go run ./bench) || status=1; exit $$status

.PHONY: check
check: bin/staticcheck js/dist/.built web/dist/.built ## Check formatting, vet, lint, types, and that nothing generated is committed
	@unformatted=$$(gofmt -l native shared wasm web); test -z "$$unformatted" || { echo "gofmt: $$unformatted"; exit 1; }
	go vet ./...
	GOOS=js GOARCH=wasm go vet ./wasm ./shared/... ./web/...
	GOOS=windows go vet ./native/sidecar/... ./shared/...
	GOOS=darwin go vet ./native/sidecar/... ./shared/...
	bin/staticcheck ./...
	GOOS=js GOARCH=wasm bin/staticcheck ./wasm ./shared/...
	GOOS=windows bin/staticcheck ./native/sidecar
	GOOS=darwin bin/staticcheck ./native/sidecar
	go mod tidy -diff
	go mod verify
	@generated=$$(git ls-files bin js/dist js/build js/pack web/dist '*.wasm' '*wasm_exec*' '*.tgz' '*node_modules*'); test -z "$$generated" || { echo "generated files are committed: $$generated"; exit 1; }
	cd js && npm run lint && npm run types
	cd web && npm run lint && npm run types

.PHONY: clean
clean: ## Remove everything that was built
	rm -rf bin js/dist js/build js/pack js/node_modules web/dist web/node_modules

# Built for this machine, to look at the code of others with.
bin/staticcheck: go.mod go.sum
	go build -o $@ honnef.co/go/tools/cmd/staticcheck

##### Set-up

# A system package is installed where that can be done without asking: as root
# on a Debian-like system. Elsewhere one line says what is missing.
define need
	@for name in $(1); do command -v "$$name" >/dev/null 2>&1 && exit 0; done; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then \
		{ apt-get install -y --no-install-recommends $(2) || { apt-get update && apt-get install -y --no-install-recommends $(2); }; } >/dev/null; \
	else \
		echo "$(3)" >&2; exit 1; \
	fi
endef

.PHONY: browser
browser:
	$(call need,chromium chromium-browser google-chrome,chromium,The browser tests need Chromium: install chromium or google-chrome and put it on PATH.)

.PHONY: redis
redis:
	$(call need,redis-server,redis-server,The gateway's tests need redis-server: install Redis and put it on PATH.)

# Debian has them in a folder that is not on every user's PATH.
.PHONY: proxies
proxies:
	$(call need,nginx /usr/sbin/nginx,nginx,The tests of what stands between need nginx: install it and put it on PATH.)
	$(call need,haproxy /usr/sbin/haproxy,haproxy,The tests of what stands between need HAProxy: install it and put it on PATH.)

# Only one test needs it, which says so where it is missing.
.PHONY: signer
signer:
	-$(call need,osslsigncode,osslsigncode,One test signs a Windows program with osslsigncode and is skipped without it.)
	-$(call need,openssl,openssl,That test also needs openssl.)
