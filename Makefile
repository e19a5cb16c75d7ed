# `make` shows what there is. Everything needs Go only, except where it says so.

GO       ?= go
GOLANGCI_LINT ?= $(shell $(GO) env GOPATH)/bin/golangci-lint
LINT_VERSION := v2.15.0
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS  := -s -w -X main.version=$(VERSION)
DATA     ?= .surehook
FUZZTIME ?= 100000x
SEEDS    ?= 10
CHANGES  ?= 2000
DURATION ?= 1m
ON       ?= Postgres

.DEFAULT_GOAL := help

.PHONY: help
help: ## Show this help
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: dev
dev: ## Run everything in one process: Temporal, Web UI, sandbox, Surehook (DATA=.surehook)
	$(GO) run ./cmd/surehook dev --data $(DATA)

.PHONY: serve-postgres
serve-postgres: ## Start a throwaway Postgres and a Temporal server on it, and show how to `serve` there (needs Postgres)
	bash deploy/local/postgres

.PHONY: build
build: ## Build bin/surehook, with `dev`
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/surehook ./cmd/surehook

.PHONY: build-production
build-production: ## Build bin/surehook-production: static, without `dev` and its Temporal server
	CGO_ENABLED=0 $(GO) build -trimpath -tags nodev -ldflags '$(LDFLAGS)' -o bin/surehook-production ./cmd/surehook

.PHONY: test
test: ## Run all tests; those that need Postgres run where it is found
	$(GO) test ./...

.PHONY: ci
ci: ## Run what CI runs: checks, lint, all tests, race, fuzz, smoke (installs what is missing, as root)
	bash .ci/run

.PHONY: fmt
fmt: ## Format the code
	$(GOLANGCI_LINT) fmt ./...

.PHONY: lint
lint: $(GOLANGCI_LINT) ## Run the linters
	$(GOLANGCI_LINT) run ./...

$(GOLANGCI_LINT):
	$(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT_VERSION)

.PHONY: check-workflows
check-workflows: ## Check that workflow code is deterministic
	$(GO) tool workflowcheck ./workflows/... ./worker/...

.PHONY: bench
bench: ## Measure against the yardsticks and write docs/benchmarks.md (needs Postgres; hours, or minutes with BENCH=-quick)
	$(GO) run ./bench $(BENCH)

.PHONY: torture
torture: ## Let everything go wrong at once and check the contract: SEEDS=10 CHANGES=2000 DURATION=1m ON=Postgres|SQLite (needs Postgres; half an hour)
	SUREHOOK_TORTURE_SEEDS=$(SEEDS) SUREHOOK_TORTURE_CHANGES=$(CHANGES) SUREHOOK_TORTURE_DURATION=$(DURATION) \
		$(GO) test -v -count=1 -timeout 0 -run 'TestTorture/^$(ON)$$/' ./integration_test

.PHONY: fuzz
fuzz: ## Give each fuzz target FUZZTIME inputs (100000x; 60s is a time)
	FUZZTIME=$(FUZZTIME) bash .ci/fuzz

.PHONY: docker
docker: ## Build the production image (needs Docker)
	docker build --build-arg VERSION=$(VERSION) --tag surehook:$(VERSION) .

.PHONY: clean
clean: ## Remove what builds leave behind
	rm -rf bin
