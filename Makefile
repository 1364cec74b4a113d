# Everything a developer runs. `make help` lists it; CI runs `make test`.
SHELL := /bin/bash
GO ?= go
BIN := bin/hangarshare
FUZZTIME ?= 30s
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2

.PHONY: help run build test test-go test-web fuzz bench soak lint fmt clean

help: ## what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## the program, as bin/hangarshare
	$(GO) build -o $(BIN) .

run: build ## start everything: server, private PostgreSQL, demo owners and simulator
	@if [ -z "$$DATABASE_URL" ]; then ./.ci/need postgres; fi
	./$(BIN) serve

test: test-go test-web ## all tests: Go with the race detector, the browser client, the page in a real browser

test-go:
	@./.ci/need postgres
	$(GO) vet ./...
	$(GO) test -race -timeout 10m ./...

test-web: build
	@./.ci/need postgres node chromium npm web/test
	cd web && npm run check

fuzz: ## every fuzz target, each for FUZZTIME (30s)
	@for folder in db handlers realtime; do \
		for target in $$(sed -n 's/^func \(Fuzz[A-Za-z]*\)(.*/\1/p' $$folder/*_test.go); do \
			echo "$$folder $$target"; \
			$(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 1s ./$$folder || exit 1; \
		done; \
	done

bench: ## benchmarks, with their ratios to a floor measured in the same run; SHORT=1 for a quick look
	@./.ci/need postgres
	$(GO) test -run '^$$' -bench . -benchmem $(if $(SHORT),-short) -p 1 -timeout 60m ./...

soak: ## the delivery oracle, for DURATION=10m: random writers, clients and faults; prints what it found
	@./.ci/need postgres
	SOAK=$(or $(DURATION),10m) $(GO) test -count=1 -timeout 0 -run '^(TestSoak|TestOpenTransactionDelaysNobody)$$' -v .

lint: ## vet, staticcheck, gosec, govulncheck, types of the browser side
	$(GO) vet ./...
	$(GO) run $(STATICCHECK) ./...
	@GO=$(GO) ./.ci/security
	@./.ci/need node npm web/test
	cd web && npm run types

fmt: ## format the Go code
	gofmt -w $$(git ls-files -co --exclude-standard '*.go')

clean: ## remove what was built; the private database in .data stays
	rm -rf bin
