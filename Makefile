# Everything a person does with this repository. Needs the Go toolchain; `make test` installs what else it needs.

# One static binary: no C library, no paths of the machine that built it.
export CGO_ENABLED = 0

GOLANGCI_LINT_VERSION = v2.15.0
GOLANGCI_LINT = bin/golangci-lint-$(GOLANGCI_LINT_VERSION)

# These packages test the built program from outside.
OUTSIDE = /conformance|/tests/

# The program that these start is built with the race detector in the race stage, as they are. Those that take longest come first, here and below.
RACE_OUTSIDE = ./tests/sentinel ./tests/crash ./tests/cluster ./tests/attack ./tests/bridge ./tests/rights ./tests/api ./tests/reload ./conformance
RACE_LONG = ./store/redis ./listener ./store/local ./doctor/probe ./broker

# What measures memory, what looks at other programs, and the many short commands of cmd/picket are run without it, and so is what counts allocations.
PLAIN = ./tests/lab ./tests/vantage ./tests/attack ./tests/page ./tests/dashboard ./cmd/picket ./tests/interop ./tests/deploy ./tests/corpus ./sentinel/simulation ./cluster/simulation
COUNTS = ./broker ./packet ./topic

.PHONY: run build release test-release page nopage setup test race plain check lint tools simulate simulate-cluster lab lab-long crash crash-redis bench bench-storage bench-growth bench-redis bench-sentinel clean

run: build
	bin/picket serve

build: page
	go build -trimpath -o bin/picket ./cmd/picket

# Everything that people install, in dist: archives, packages, a container image, lists of parts, checksums. make release RELEASE="-only linux/amd64"
# builds for one system. Its libraries are a module's of its own.
release: page
	cd cmd/release && go run . -source ../.. -out ../../dist $(RELEASE)

# What release has made for Linux on amd64: packages in a Debian root, the image's files as a root folder, and the way from the package on a cloud server to
# a message on a phone (root; debootstrap, iproute2, nftables, mosquitto-clients). Some ten minutes, most of them for the Debian root, which is kept:
# make test-release ROOT=/var/tmp/bookworm
ROOT = $(CURDIR)/bin/bookworm
test-release:
	$(MAKE) release RELEASE="-only linux/amd64 -version 1.0.0"
	test -e $(ROOT)/usr/bin/rpm || debootstrap --variant=minbase --include=systemd,logrotate,rpm bookworm $(ROOT) http://deb.debian.org/debian
	PICKET_DIST=$(CURDIR)/dist PICKET_ROOT=$(ROOT) go test -count=1 -v -timeout 10m ./tests/release
	go test -count=1 -v -timeout 10m ./tests/vantage -run TestPackageToPhone -debian $(ROOT) -deb $(CURDIR)/dist/picket-1.0.0-linux-amd64.deb

# The page for phones and the dashboard are bundled by npm's esbuild and embedded by the Go compiler. Without node and npm the program has none, and says so.
NPM := $(shell command -v node >/dev/null 2>&1 && command -v npm 2>/dev/null)
page: $(if $(NPM),page/dist/index.html dashboard/dist/index.html,nopage)

page/dist/index.html: $(wildcard page/web/*)
dashboard/dist/index.html: $(wildcard dashboard/web/*)
%/dist/index.html: %/build.mjs %/package.json %/package-lock.json %/node_modules/.package-lock.json
	cd $* && node build.mjs

# make would remove it as something that is only needed in between.
.SECONDARY: page/node_modules/.package-lock.json dashboard/node_modules/.package-lock.json
%/node_modules/.package-lock.json: %/package-lock.json
	cd $* && $(NPM) ci --no-audit --no-fund --silent

nopage:
	@echo "There are no node and npm here: this build has no page for phones and no dashboard."

# Installs what the tests need, where it may; otherwise it says in one line what is missing.
setup:
	tests/setup.sh

# What follows what has failed is run all the same: one run shows all that is wrong.
test: setup page
	@status=0; $(MAKE) race || status=1; $(MAKE) plain || status=1; exit $$status

# The race detector needs cgo, and makes every program that ends wait for a second unless it is told otherwise. Four packages at a time: most of them wait
# more than they work.
race: export CGO_ENABLED = 1
race: export GORACE = atexit_sleep_ms=10
race:
	status=0; \
	go test -race -p 4 -timeout 20m $(RACE_OUTSIDE) $(RACE_LONG) $$(go list ./... | grep -vE '$(OUTSIDE)|/simulation|/cmd/picket') || status=1; \
	go test -race -timeout 20m ./cmd/picket -run Certificate & certificate=$$!; \
	go test -race -timeout 20m ./sentinel/simulation -failovers 300 || status=1; \
	go test -race -timeout 20m ./cluster/simulation -run TestChaos -faults 300 || status=1; \
	wait $$certificate || status=1; \
	exit $$status

plain:
	status=0; \
	go test -count=1 -timeout 20m $(PLAIN) || status=1; \
	go test -count=1 -timeout 20m $(COUNTS) -run 'Allocat|Memory|Cost' || status=1; \
	exit $$status

# What to run before every commit: under two minutes once `make tools` has been run.
check: build lint
	go test -short $$(go list ./... | grep -vE '$(OUTSIDE)')
	GOOS=darwin go vet ./cmd/...
	GOOS=windows go vet ./cmd/...

lint: $(GOLANGCI_LINT)
	$(GOLANGCI_LINT) run --allow-serial-runners

tools: $(GOLANGCI_LINT)

# Its first compilation takes some minutes.
$(GOLANGCI_LINT):
	GOBIN=$(CURDIR)/bin go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT_VERSION)
	mv bin/golangci-lint $@

# The sentinel's state machine in a world that loses and delays: make simulate SEEDS=100000; a failing seed is printed, and rerun with
# go test ./sentinel/simulation -run TestChaos -seed N
SEEDS = 10000
simulate:
	go test -count=1 -timeout 0 ./sentinel/simulation -run TestChaos -v -seeds $(SEEDS) -progress

# The same for the state machine of a cluster's nodes: make simulate-cluster FAULTS=1000000.
FAULTS = 1000000
simulate-cluster:
	go test -count=1 -timeout 0 ./cluster/simulation -run TestChaos -v -faults $(FAULTS) -progress

# A broker that is killed while clients work with it: make crash KILLS=10000; the seed of a world that fails is printed, and rerun with
# go test ./tests/crash -run TestKills -v -seed N
KILLS = 1000
crash:
	go test -count=1 -timeout 0 ./tests/crash -run TestKills -v -kills $(KILLS) -progress

# The same with the store in a Redis of a master, two replicas and three sentinels, all of which are killed or stopped, too: make crash-redis KILLS=1000
crash-redis:
	go test -count=1 -timeout 0 ./tests/crash -run TestKillsOnRedis -v -redis-kills $(KILLS) -progress

# The doctor among real faults, in network namespaces (root; what tests/setup.sh installs): some five minutes. It prints what it names for each of
# them, and writes the table of docs/doctor.md with LAB=-update. make test makes some faults of each cause; lab-long those that need minutes.
lab: build
	cd tests/lab && go test -count=1 -timeout 20m -table $(LAB)

lab-long: build
	cd tests/lab && go test -count=1 -timeout 20m -table -long $(LAB)

# Picket and Debian's mosquitto side by side, and the benchmarks of the hot path.
bench:
	bench/compare
	go test -run '^$$' -bench . -benchmem ./packet ./topic ./session ./broker

# What it costs to keep messages, and what a killed broker loses, side by side with Debian's mosquitto in three settings; and a million queued
# messages. Some twenty minutes.
ROUNDS = 3
bench-storage: build
	bin/picket bench compare --storage --rounds $(ROUNDS) \
		--broker 'picket=bin/picket serve -c {conf}' --config 'picket=user root; persistence true; persistence_location {dir}/' \
		--broker 'mosquitto, off=mosquitto -c {conf}' --config 'mosquitto, off=user root; persistence false' \
		--broker 'mosquitto, default=mosquitto -c {conf}' --config 'mosquitto, default=user root; persistence true; persistence_location {dir}/' \
		--broker 'mosquitto, strict=mosquitto -c {conf}' --config 'mosquitto, strict=user root; persistence true; persistence_location {dir}/; autosave_on_changes true; autosave_interval 1'
	go test -count=1 -timeout 60m ./tests/crash -run 'TestPeer|TestBacklog' -v -peer mosquitto -queued 1000000 -bench Syncs -benchtime 1x

# How cost grows with topics, subscriptions, sessions and payloads, and what connections of each transport take, side by side with Debian's mosquitto and
# any other broker: make bench-growth GROWTH="--broker 'flashmq=./flashmq.sh {port} {dir}' --only retained". An hour without --only.
bench-growth: build
	bin/picket bench compare --growth --rounds $(ROUNDS) \
		--broker 'picket=bin/picket serve -c {conf}' --config 'picket=user root; persistence true; persistence_location {dir}/' \
		--broker 'mosquitto=mosquitto -c {conf}' --config 'mosquitto=user root; persistence true; persistence_location {dir}/' $(GROWTH)

# What Redis takes as a store, side by side with this disk: throughput, a start, memory.
bench-redis:
	go test -run '^$$' -bench Places -count $(ROUNDS) -timeout 30m ./store/redis
	go test -run '^$$' -bench 'Start|Memory' -benchtime 1x -timeout 30m ./store/redis

# Failovers, and what watching 100 masters costs, side by side with Debian's redis-sentinel: some twenty minutes.
bench-sentinel:
	go test -run '^$$' -bench . -benchtime 20x -timeout 60m ./tests/sentinel

clean:
	rm -rf bin page/node_modules dashboard/node_modules
	rm -f page/dist/*
