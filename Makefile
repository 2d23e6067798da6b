# whop-license. `make help` lists what can be made.
#
# Go, Node, make and git are assumed; everything else is installed by the
# targets that need it.

SHELL := /bin/sh
export CGO_ENABLED ?= 0

LDFLAGS  := -s -w
PROGRAMS := whop-license-sidecar whopsim whop-license-gateway
GO_FILES  = $(shell git ls-files -co --exclude-standard '*.go' go.mod go.sum)

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
	go build -trimpath -ldflags="$(LDFLAGS)" -o $@ ./native/$*

bin/whopsim: $(GO_FILES)
	go build -trimpath -ldflags="$(LDFLAGS)" -o $@ ./native/whopsim

.PHONY: wasm
wasm: js/dist/whop-license.wasm js/dist/wasm_exec.js ## Build the WebAssembly module into js/dist/

js/dist/whop-license.wasm: $(GO_FILES)
	@mkdir -p js/dist
	GOOS=js GOARCH=wasm go build -trimpath -ldflags="$(LDFLAGS)" -o $@ ./wasm

js/dist/wasm_exec.js: go.mod
	@mkdir -p js/dist
	cp "$$(go env GOROOT)/lib/wasm/wasm_exec.js" $@

