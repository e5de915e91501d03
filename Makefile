# Signalbox's commands. Each target names what it needs, so `make test` and `make run` work on a machine that has only a Swift toolchain,
# apt and Python: what is missing is installed first. Everything that is made lies below .build.
.DEFAULT_GOAL := help
.NOTPARALLEL:
.ONESHELL:
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:

LIBRARIES := libssl-dev libsqlite3-dev zlib1g-dev pkg-config
TOOLS := curl jq openssl python3-venv nodejs node-ws node-typescript node-react-dom node-jsdom chromium nginx-light
E2E := Tests/EndToEndTests
VENV := .build/venv
SERVER := .build/release/signalbox
SWIFT_FILES := Package.swift Sources Tests Benchmarks

# The conformance suite: its Python 3 port where there is a folder of it, else wstest, else docker.
export AUTOBAHN_DIR ?= $(abspath ../shared/tools/autobahn)
AUTOBAHN_IMAGE := crossbario/autobahn-testsuite:25.10.1
REPORT := .build/autobahn-report

CODEC ?=
SECONDS ?= 60
MINUTES ?= 60
RUNS ?= 1000

.PHONY: help deps libraries tools swift build release run demo test test-swift asan tsan test-e2e sim sim-planted autobahn fuzz fuzz-corpus bench load peers soak readme format lint clean FORCE

help: ## This list
	@echo "make TARGET, where TARGET is one of"
	sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 14 | sed 's/^/  /'

deps: tools $(VENV)/stamp ## Install what building and testing need and is missing: libraries, tools, Python packages

# Installs those of $(PACKAGES) that are missing. A Python or Node that did not come from dpkg is as good.
libraries: PACKAGES := $(LIBRARIES)
tools: PACKAGES := $(LIBRARIES) $(TOOLS)
libraries tools: swift
	@present() {
	    dpkg -s "$$1" && return
	    case $$1 in
	    python3-venv) python3 -c 'import ensurepip, venv' ;;
	    nodejs) node --version ;;
	    node-*) NODE_PATH=/usr/share/nodejs:/usr/lib/nodejs node -e "require.resolve('$${1#node-}')" ;;
	    nginx-light) PATH=$$PATH:/usr/sbin command -v nginx ;;
	    chromium) [ -x "$${CHROMIUM:-}" ] || command -v chromium || command -v chromium-browser || command -v google-chrome ;;
	    *) command -v "$$1" ;;
	    esac
	} > /dev/null 2>&1
	missing=()
	for package in $(PACKAGES); do present "$$package" || missing+=("$$package"); done
	[ $${#missing[@]} -gt 0 ] || exit 0
	command -v apt-get > /dev/null || { echo "There is no apt-get here; please install: $${missing[*]}"; exit 1; }
	echo "Installing $${missing[*]}"
	# Servers among them are to be there, not to start.
	root=(env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 SYSTEMD_OFFLINE=1)
	[ "$$(id -u)" = 0 ] || root=(sudo "$${root[@]}")
	"$${root[@]}" apt-get update -qq
	"$${root[@]}" apt-get install -y -qq --no-install-recommends "$${missing[@]}"

swift:
	@command -v swift > /dev/null || { echo "No swift on the PATH: install a Swift 6.3 toolchain, see https://www.swift.org/install"; exit 1; }

$(VENV)/stamp: $(E2E)/requirements.txt $(E2E)/requirements-assets.txt | tools
	@echo "Python packages into $(VENV)"
	python3 -m venv --clear $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -r $(E2E)/requirements-assets.txt
	touch $@

build: libraries ## Build for development
	swift build

release: libraries ## Build the optimised server, .build/release/signalbox
	swift build -c release --product signalbox

run: deps release ## Start the server: make run ARGS="--listen 127.0.0.1:9000"
	@exec $(SERVER) serve $(ARGS)

demo: deps release ## A server with three workers and a stream of tasks to look at; Ctrl-C ends it all
	@exec $(VENV)/bin/python -B Benchmarks/demo.py --server $(SERVER) $(ARGS)

test: deps test-swift test-e2e ## All tests: Swift, end to end, and a short run of the WebSocket conformance suite

test-swift: tools ## The Swift tests; FILTER=JSON chooses
	swift test $(if $(FILTER),--filter '$(FILTER)')

# Leaks are the soak's to find: what is thrown away at a test's end may be a circle.
asan: tools ## The Swift tests under the address sanitizer; FILTER=JSON chooses
	ASAN_OPTIONS=detect_leaks=0 swift test --sanitize=address --scratch-path .build/asan $(if $(FILTER),--filter '$(FILTER)')

tsan: tools ## The Swift tests under the thread sanitizer; FILTER=Reactor chooses
	mkdir -p .build/tsan
	clang -shared -fPIC -O2 -Wall -Wno-dollar-in-identifier-extension Tests/Sanitizers/locks.c -o .build/tsan/locks.so
	LD_PRELOAD=$(abspath .build/tsan/locks.so) swift test --sanitize=thread --scratch-path .build/tsan $(if $(FILTER),--filter '$(FILTER)')

test-e2e: release $(VENV)/stamp ## The end-to-end tests, against the optimised server; FILTER=dispatch chooses
	$(VENV)/bin/python -m pytest $(E2E) $(if $(FILTER),-k '$(FILTER)')

sim: libraries ## Simulate the whole product under faults: make sim SEED=7 TRACE=1, make sim SEEDS=1..5000, make sim RUNS=1000
	swift build -c release --scratch-path .build/sim -Xswiftc -enable-testing -Xswiftc -DDEBUG --product Simulator
	.build/sim/release/Simulator $(or $(SEED),$(SEEDS),1..$(RUNS)) $(if $(TRACE),--trace)

sim-planted: libraries ## Plant bugs into a copy of the server, one by one, and see the simulator find each; BUG=name chooses
	@python3 Tests/Simulator/planted.py $(BUG)

autobahn: release tools ## All 517 cases of the conformance suite, a quarter of an hour; AB_MESSAGES=20 shortens the compressed ones
	@if [ -x "$(AUTOBAHN_DIR)/run.sh" ]; then way=scripts
	elif command -v wstest > /dev/null; then way=wstest
	elif docker info > /dev/null 2>&1; then way=docker
	else echo "Nothing here runs the suite: no scripts in AUTOBAHN_DIR ($(AUTOBAHN_DIR)), no wstest, no docker daemon."; exit 1
	fi
	echo "The conformance suite runs by $$way; its report goes to $(REPORT)."
	report=$(abspath $(REPORT))
	rm -rf "$$report" && mkdir -p "$$report"
	(cd "$$report" && exec $(abspath $(SERVER)) serve --echo-path /echo --deflate --listen 127.0.0.1:0) > "$$report/server.log" 2>&1 &
	server=$$!
	trap 'kill $$server 2> /dev/null || true; wait $$server || true' EXIT
	port=
	for try in {1..100}; do
	    port=$$(sed -n '/listening/s/.*127\.0\.0\.1:\([0-9]*\).*/\1/p' "$$report/server.log" | head -n 1)
	    [ -z "$$port" ] && kill -0 $$server 2> /dev/null || break
	    sleep 0.1
	done
	[ -n "$$port" ] || { echo "The server does not listen:"; cat "$$report/server.log"; exit 1; }
	url=ws://127.0.0.1:$$port/echo
	if [ $$way = scripts ]; then
	    export AB_HOME=$(abspath .build/autobahn)
	    [ -d "$$AB_HOME/lib" ] || "$(AUTOBAHN_DIR)/setup.sh" "$$AB_HOME"
	    "$(AUTOBAHN_DIR)/run.sh" "$$url" "$$report"
	    exit
	fi
	run=(wstest --mode fuzzingclient --spec "$$report/spec.json")
	[ $$way = wstest ] || run=(docker run --rm --network host -v "$$report:$$report" $(AUTOBAHN_IMAGE) "$${run[@]}")
	jq -n --arg url "$$url" --arg out "$$report" \
	    '{outdir: $$out, servers: [{$$url, agent: "server"}], cases: ["*"], "exclude-cases": [], "exclude-agent-cases": {}}' > "$$report/spec.json"
	"$${run[@]}" > "$$report/log.txt"
	jq -r '[.[][].behavior] | group_by(.) | map("\(length) \(.[0])") | join(", ")' "$$report/index.json"
	jq -e '[.[][] | .behavior, .behaviorClose] | length > 0 and all(IN("OK", "NON-STRICT", "INFORMATIONAL"))' "$$report/index.json" > /dev/null

# Everything that is fuzzed; the checks are Tests/FuzzChecks. The canary is none of them: it must be found.
CODECS := http chunked websocket engineio socketio json jwt query database dialects completions
FUZZ := .build/fuzz

# The runtime's own report of a crash runs in a process that the address sanitizer takes for an error.
fuzz fuzz-corpus: export SWIFT_BACKTRACE := enable=no
fuzz fuzz-corpus: export LSAN_OPTIONS := suppressions=Tests/Fuzzers/leaks.supp:print_suppressions=0

fuzz: $(FUZZ)/fuzz ## Let libFuzzer loose on every codec for SECONDS=60 each; CODEC=jwt chooses one, CODEC=canary one that must crash
	@codecs="$(or $(CODEC),$(CODECS))"
	printf '%-10s %8s %10s %7s %8s %7s  %s\n' codec seconds runs edges features corpus found
	total=0
	for codec in $$codecs; do
	    mkdir -p $(FUZZ)/corpus/$$codec $(FUZZ)/found/$$codec
	    before=$$(ls $(FUZZ)/found/$$codec | wc -l) dict= kept=Tests/Fuzzers/Corpus/$$codec
	    [ -d $$kept ] || kept=
	    [ ! -e Tests/Fuzzers/$$codec.dict ] || dict=-dict=Tests/Fuzzers/$$codec.dict
	    # A server that is thrown away with its tasks is a circle, and no leak.
	    [ $$codec != database ] || dict="$$dict -detect_leaks=0"
	    CODEC=$$codec $(FUZZ)/fuzz -max_total_time=$(SECONDS) -max_len=4096 -timeout=20 -rss_limit_mb=4096 -print_final_stats=1 \
	        -artifact_prefix=$(FUZZ)/found/$$codec/ $$dict $(FUZZ)/corpus/$$codec $$kept \
	        > $(FUZZ)/$$codec.log 2>&1 || true
	    found=$$(($$(ls $(FUZZ)/found/$$codec | wc -l) - before))
	    runs=$$(sed -n 's/^Done \([0-9]*\) runs in \([0-9]*\) .*/\2 \1/p' $(FUZZ)/$$codec.log)
	    grep -o 'cov: .* corp: [0-9]*' $(FUZZ)/$$codec.log | tail -n 1 | { read -r _ edges _ features _ corpus || true
	        printf '%-10s %8s %10s %7s %8s %7s  %s\n' $$codec $${runs:-- -} $${edges:--} $${features:--} $${corpus:--} $$found; }
	    if [ $$codec = canary ]; then [ $$found -gt 0 ] && continue; echo "The canary lives: nothing here proves anything."; exit 1; fi
	    [ $$found = 0 ] || grep -m 3 -E 'Fatal error|ERROR: |SUMMARY' $(FUZZ)/$$codec.log || true
	    [ $$found = 0 ] || ls -t $(FUZZ)/found/$$codec/* | head -n $$found
	    total=$$((total + found))
	done
	[ $$total = 0 ]

fuzz-corpus: $(FUZZ)/fuzz ## Bring what `make fuzz` has found into Tests/Fuzzers/Corpus: the hundred files that reach most of it
	@for codec in $(or $(CODEC),$(CODECS)); do
	    kept=Tests/Fuzzers/Corpus/$$codec
	    rm -rf $(FUZZ)/merged $(FUZZ)/reached && mkdir -p $(FUZZ)/merged $(FUZZ)/corpus/$$codec $$kept
	    CODEC=$$codec $(FUZZ)/fuzz -set_cover_merge=1 -use_counters=0 -merge_control_file=$(FUZZ)/reached -max_len=4096 -detect_leaks=0 \
	        $(FUZZ)/merged $$kept $(FUZZ)/corpus/$$codec > $(FUZZ)/merge.log 2>&1
	    python3 -B Tests/Fuzzers/corpus.py $(FUZZ)/reached $$kept
	done

# One program, which is told by CODEC what it is to fuzz; the sanitizers' objects have a build folder of their own.
$(FUZZ)/fuzz: libraries FORCE
	@swift build -c release --scratch-path $(FUZZ) -Xswiftc -sanitize=fuzzer,address --product FuzzChecks
	swiftc -O -swift-version 6 -parse-as-library -sanitize=fuzzer,address -use-ld=lld \
	    -I $(FUZZ)/release/Modules $(addprefix -I ,$(dir $(wildcard Sources/C*/module.modulemap))) \
	    Tests/Fuzzers/Entry.swift $(FUZZ)/release/libFuzzChecks.a -lcrypto -lz -lsqlite3 -o $@

FORCE:

COMPARE := python3 -B Benchmarks/compare

bench: peers ## Measure the server, its peers and the machine's limit: make bench BENCH="--all --rounds 5 --record"; --list says what there is
	@$(COMPARE) $(BENCH)

load: peers ## The same with as many connections as the machine has: LOAD="--parts crowd"
	@$(COMPARE) --big $(LOAD)

peers: release
	@for product in raw-echo load-generator in-process; do swift build -c release --product $$product; done
	Benchmarks/Peers/setup.sh

soak: release ## Mixed load with faults, and nothing may be lost or grow: make soak MINUTES=60 SOAK="--rate 30 --seed 7"
	python3 -B Benchmarks/soak.py --server $(SERVER) --minutes $(MINUTES) $(SOAK)

readme: release $(VENV)/stamp ## Write the README's tables anew: the options as the program has them, the figures as RESULTS.md has them
	@$(VENV)/bin/python -B $(E2E)/test_readme.py

format: swift ## Format the Swift files in place
	swift format --in-place --parallel --recursive $(SWIFT_FILES)

lint: swift ## Say where the format of the Swift files is not swift-format's
	swift format lint --strict --parallel --recursive $(SWIFT_FILES)

clean: ## Remove everything that was built
	rm -rf .build
