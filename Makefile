# Signalbox's commands. Each target names what it needs, so `make test` and `make run` work on a machine that has only a Swift toolchain,
# apt and Python: what is missing is installed first. Everything that is made lies below .build.
.DEFAULT_GOAL := help
.NOTPARALLEL:
.ONESHELL:
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:

LIBRARIES := libssl-dev libsqlite3-dev zlib1g-dev pkg-config
TOOLS := curl jq openssl python3-venv nodejs node-ws
E2E := Tests/EndToEndTests
VENV := .build/venv
SERVER := .build/release/signalbox
SWIFT_FILES := Package.swift Sources Tests Benchmarks

# The conformance suite: its Python 3 port where there is a folder of it, else wstest, else docker.
export AUTOBAHN_DIR ?= $(abspath ../shared/tools/autobahn)
AUTOBAHN_IMAGE := crossbario/autobahn-testsuite:25.10.1
REPORT := .build/autobahn-report

CODEC ?= http
SECONDS ?= 60
MINUTES ?= 60
RUNS ?= 1000

.PHONY: help deps libraries tools swift build release run test test-swift test-e2e sim sim-planted autobahn fuzz bench load peers soak format lint clean

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
	    node-ws) NODE_PATH=/usr/share/nodejs:/usr/lib/nodejs node -e 'require.resolve("ws")' ;;
	    *) command -v "$$1" ;;
	    esac
	} > /dev/null 2>&1
	missing=()
	for package in $(PACKAGES); do present "$$package" || missing+=("$$package"); done
	[ $${#missing[@]} -gt 0 ] || exit 0
	command -v apt-get > /dev/null || { echo "There is no apt-get here; please install: $${missing[*]}"; exit 1; }
	echo "Installing $${missing[*]}"
	root=(env DEBIAN_FRONTEND=noninteractive)
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

test: deps test-swift test-e2e ## All tests: Swift, end to end, and a short run of the WebSocket conformance suite

test-swift: tools ## The Swift tests; FILTER=JSON chooses
	swift test $(addprefix --filter ,$(FILTER))

test-e2e: release $(VENV)/stamp ## The end-to-end tests, against the optimised server; FILTER=dispatch chooses
	$(VENV)/bin/python -m pytest $(E2E) $(addprefix -k ,$(FILTER))

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

# A fuzzer's name, and the targets it is linked with; the last one stands on the others.
FUZZ_http := HTTP Base HTTP1
FUZZ_json := JSON Base JSON
FUZZ_websocket := WebSocket Base Crypto WebSockets
FUZZ_engineio := EngineIO Base Crypto JSON SocketIO
FUZZ_socketio := SocketIO Base Crypto JSON SocketIO
FUZZ_canary := Canary

fuzz: libraries ## Let libFuzzer loose on a codec: make fuzz CODEC=http|json|websocket|engineio|socketio|canary SECONDS=60
	@set -- $(FUZZ_$(CODEC))
	[ $$# -gt 0 ] || { echo "CODEC is http, json, websocket, engineio, socketio, or canary, which must crash."; exit 1; }
	name=$$1 out=.build/fuzz
	shift
	[ $$# = 0 ] || swift build -c release --scratch-path $$out -Xswiftc -sanitize=fuzzer,address --target "$${!#}"
	objects=()
	for floor; do
	    while read -r source; do objects+=("$$out/release/$$floor.build/$$source.o"); done < <(find Sources/$$floor -name '*.swift' -printf '%f\n')
	done
	mkdir -p $$out/release/Modules $$out/corpus/$(CODEC)
	swiftc -O -swift-version 6 -parse-as-library -sanitize=fuzzer,address -use-ld=lld \
	    -I $$out/release/Modules $(addprefix -I ,$(dir $(wildcard Sources/C*/module.modulemap))) \
	    Tests/Fuzzers/FuzzInput.swift Tests/Fuzzers/$${name}Fuzzer.swift "$${objects[@]}" -lcrypto -lz -o $$out/$(CODEC)
	$$out/$(CODEC) -max_total_time=$(SECONDS) -max_len=4096 -artifact_prefix=$$out/$(CODEC)- \
	    $(addprefix -dict=,$(wildcard Tests/Fuzzers/$(CODEC).dict)) $$out/corpus/$(CODEC)

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

format: swift ## Format the Swift files in place
	swift format --in-place --parallel --recursive $(SWIFT_FILES)

lint: swift ## Say where the format of the Swift files is not swift-format's
	swift format lint --strict --parallel --recursive $(SWIFT_FILES)

clean: ## Remove everything that was built
	rm -rf .build
