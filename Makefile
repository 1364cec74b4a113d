# Everything a developer runs. `make help` lists it; CI runs `make test`.
SHELL := /bin/bash
GO ?= go
BIN := bin/hangarshare
FUZZTIME ?= 30s
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOTESTSUM := gotest.tools/gotestsum@v1.13.0

.PHONY: help run build vet needs test test-go test-parts test-program test-race test-web test-client test-page test-browsers test-examples test-versions test-clients attack fuzz bench soak test-release release lint fmt clean

help: ## what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# Every build of the program, vet's too, is as that of a release: Go compiles each package once for
# all of them.
PLAIN := CGO_ENABLED=0 $(GO)

# Each part tells how long it took.
PART := @./.ci/part

build: ## the program, as bin/hangarshare
	$(PART) 'the program' env $(PLAIN) build -trimpath -o $(BIN) .

run: build ## start everything: server, private PostgreSQL, demo owners and simulator
	@if [ -z "$$DATABASE_URL" ]; then ./.ci/need postgres; fi
	./$(BIN) serve

# The race detector makes these take three times as long. It watches the whole server in test/soak,
# and each part of it in its own package; make test-race has it watch these, too. Of bench there are
# only benchmarks.
PLAINLY := attack|bench|clients|e2e|release|storm|versions

# What fails is named at once, run twice more at most, and named again: a busy machine must not look
# like a fault. Where many tests fail there is a fault, and none is run again.
AGAIN := bin/gotestsum --format pkgname-and-test-fails --hide-summary skipped --rerun-fails=2 --rerun-fails-max-failures=5

# Two parts at a time: while one waits for a browser, a database or a fault the other has work. A
# part that fails keeps no other from running.
test: ## all tests: Go with the race detector, the client, the page in a browser
	@$(MAKE) --no-print-directory --keep-going --jobs=2 build needs test-parts vet test-client test-page test-program

test-go: vet test-parts test-program

test-web: test-client test-page

# One at a time: a package manager lets nobody else in.
needs:
	$(PART) 'what tests need' ./.ci/need postgres pgbouncer nginx haproxy caddy redis valkey prometheus chromium \
		node npm test/clients/node npm web/test

vet:
	$(PART) 'vet' env $(PLAIN) vet -trimpath ./...

# It is built as the program is, so that Go compiles what both use once.
bin/gotestsum: Makefile | build
	@GOBIN=$(CURDIR)/bin $(PLAIN) install -trimpath $(GOTESTSUM) && touch $@

# The package that takes longest comes first, so that nothing waits for it alone.
test-parts: needs bin/gotestsum
	$(PART) 'Go, with the race detector' $(AGAIN) \
		--packages "$$($(GO) list ./db ./... | grep -vE '/test/($(PLAINLY))$$' | tr '\n' ' ')" -- -race -vet=off -ldflags=-w -parallel 4 -timeout 30m

test-program: needs bin/gotestsum
	$(PART) 'Go, the whole program' env CGO_ENABLED=0 $(AGAIN) \
		--packages "$$($(GO) list ./test/e2e ./test/... | grep -E '/test/($(PLAINLY))$$' | tr '\n' ' ')" -- -trimpath -vet=off -parallel 4 -timeout 30m

test-race: ## the tests of the whole program that make test runs without the race detector, with it
	$(GO) test -race -vet=off -parallel 4 -timeout 60m $$($(GO) list ./test/... | grep -E '/test/($(PLAINLY))$$')

test-client: needs
	$(PART) 'the client and its types' bash -c 'cd web && npm run --silent types && npm run --silent test:unit'

test-page: needs build
	$(PART) 'the page in a browser' bash -c 'cd web && npm run --silent test:browser'

test-browsers: build ## the page and the client in Firefox and WebKit, whose packages it installs
	@./.ci/need postgres node npm web/test firefox webkit
	cd web && npm run --silent test:browsers

test-examples: build ## the Next.js example in a real Chromium; no part of test: large packages
	@./.ci/need postgres node chromium npm web/test npm examples/nextjs
	cd web && npm run --silent test:examples

VERSIONS ?= 13 14 15 16 17 18
test-versions: ## the database's tests on VERSIONS (13 to 18); UPDATE=-update writes the docs
	@./.ci/need pgbouncer
	VERSIONS="$(VERSIONS)" $(GO) test -count=1 -timeout 0 -v -run '^TestVersions$$' ./test/versions $(UPDATE)

fuzz: ## every fuzz target, each for FUZZTIME (30s)
	@for folder in db handlers/stream realtime; do \
		for target in $$(sed -n 's/^func \(Fuzz[A-Za-z]*\)(.*/\1/p' $$folder/*_test.go); do \
			echo "$$folder $$target"; \
			$(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 1s ./$$folder || exit 1; \
		done; \
	done

bench: ## benchmarks, with their ratios to a floor of the same run; SHORT=1 for a quick look
	@./.ci/need postgres redis
	$(GO) test -run '^$$' -bench . -benchmem $(if $(SHORT),-short) -p 1 -timeout 60m ./...

test-clients: ## other people's WebSocket and SSE libraries in six languages, plain and over TLS
	@./.ci/need postgres node npm test/clients/node clients
	CLIENTS=all $(GO) test -count=1 -timeout 30m -v -run '^TestForeignClients$$' ./test/clients

attack: ## what strangers, other owners and broken clients would try; prints how many of each
	@./.ci/need postgres
	ATTACK=full $(GO) test -count=1 -timeout 30m -v -run '^TestAttack$$' ./test/attack

soak: ## the delivery oracle, for DURATION=10m: three servers, writers, clients and faults
	@./.ci/need postgres redis nginx
	SOAK=$(or $(DURATION),10m) $(GO) test -count=1 -timeout 0 -run '^(TestSoak|TestOpenTransactionDelaysNobody)$$' -v ./test/soak

test-release: ## two releases from nothing, in two folders with caches of their own: the same bytes
	RELEASE=full $(GO) test -count=1 -timeout 30m -v ./test/release

release: ## programs, Debian packages, components and checksums, in dist/: the same bytes anywhere
	GO=$(GO) ./deploy/release all dist

lint: ## vet, staticcheck, gosec, govulncheck, types of the browser side
	$(PLAIN) vet -trimpath ./...
	$(GO) run $(STATICCHECK) ./...
	@GO=$(GO) ./.ci/security
	@./.ci/need node npm web/test
	cd web && npm run types

fmt: ## format the Go code
	gofmt -w $$(git ls-files -co --exclude-standard '*.go')

clean: ## remove what was built; the private database in .data stays
	rm -rf bin dist
