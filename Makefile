# What these need beside Go they install where that takes no password; elsewhere
# they say what to type.

SHELL := /bin/bash
.DEFAULT_GOAL := help

# Kept out of go.mod: whoever imports dlm has no use for it.
STATICCHECK := go run honnef.co/go/tools/cmd/staticcheck@v0.8.2

SOAK ?= 1m
FUZZTIME ?= 30s
TESTTIMEOUT ?= 8m
# How many tests of a package run at a time: they wait for servers more than they work.
PARALLEL ?= 4
# What make bench and make demo hand on; -h lists it.
ARGS ?=

# Modules of their own below this one; ./... does not reach them.
NESTED := $(patsubst %/go.mod,%,$(wildcard examples/*/go.mod))

# Of these, the ones whose dependencies take more than a minute to compile for
# the race detector: SQLite, once more after go vet has compiled it. The program
# has one goroutine of its own.
UNRACED := examples/fencing

.PHONY: help
help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: ## a fleet, a burst, a dead node: the whole thing in 30 seconds (REDIS_NODES=url,url,url for your own; BROWSER=1 goes on in a browser)
	@go run ./examples/demo $(if $(BROWSER),-browser) $(ARGS)

# -vet=off: lint has vetted all of it, by more checks than go test knows.
.PHONY: test
test: format lint tools ## format, vet, lint, and all tests with the race detector against real and embedded Redis
	go test -vet=off -race -shuffle=on -parallel $(PARALLEL) -timeout $(TESTTIMEOUT) ./...
	go test -vet=off -run Allocat ./core/guard ./ginlock ./echolock # the race detector allocates by itself
	@for module in $(NESTED); do \
		race=-race; [[ " $(UNRACED) " != *" $$module "* ]] || race=; \
		echo "go test $$race ./... # in $$module"; \
		(cd "$$module" && go test -vet=off $$race -shuffle=on -timeout $(TESTTIMEOUT) ./...) || exit; \
	done

.PHONY: format
format:
	@unformatted="$$(gofmt -l .)"; \
	if [[ -n "$$unformatted" ]]; then echo "gofmt -w wants to change:"; echo "$$unformatted"; exit 1; fi

.PHONY: lint
lint: ## go vet and staticcheck
	go vet ./...
	$(STATICCHECK) ./...
	@for module in $(NESTED); do echo "go vet ./... # in $$module"; (cd "$$module" && go vet ./...) || exit; done

.PHONY: bench
bench: tools ## dlm beside its peers, in tables of ratios (ARGS="-rows distinct -quick" for some)
	cd examples/peerbench && go run . -svg locks.svg $(ARGS)

.PHONY: soak
soak: tools ## random faults for as long as you like (SOAK=1h), with the figures
	go test ./core -run '^TestSoak$$' -soak=$(SOAK) -timeout 0 -count=1 -v
	go test ./core/cache -run '^TestHistory$$' -history=$(SOAK) -timeout 0 -count=1 -v
	go test ./core/guard -run '^TestRaces$$' -races=$(SOAK) -timeout 0 -count=1 -v

.PHONY: fuzz
fuzz: ## every fuzz target in turn, each for FUZZTIME=30s
	@for package in $$(go list ./...); do \
		targets="$$(go test -list '^Fuzz' "$$package" | grep '^Fuzz' || true)"; \
		for target in $$targets; do \
			echo "$$package $$target"; \
			go test "$$package" -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) || exit; \
		done; \
	done

.PHONY: tools
tools:
	@.ci/tools
