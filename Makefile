# The two commands: `make serve` and `make test`. Both bring what the machine
# lacks, build what is out of date, and are quick the second time.

PRESET ?= cpu
MODEL ?= models/weft-demo-r1
HOST ?= 127.0.0.1
PORT ?= 8000
GRPC_PORT ?= 8001
FLAGS ?=

JOBS ?= $(shell nproc)
BIN := build/$(PRESET)/bin
PYTHON := .deps/venv/bin/python

# One compiler cache for every clone on a machine, whatever its path.
export CCACHE_BASEDIR := $(CURDIR)
export CCACHE_NOHASHDIR := 1

.PHONY: help serve test soak fuzzers setup browser helm configure build lint format bench bundle images images-setup clean

help: ## Shows this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "  PRESET=cpu|cuda|asan|tsan (now: $(PRESET))   MODEL=$(MODEL)   PORT=$(PORT)"

serve: build ## Starts all three with MODEL, a folder or owner/name of the hub; Ctrl-C drains them
	@exec $(BIN)/weft serve $(MODEL) --host $(HOST) --port $(PORT) --grpc-port $(GRPC_PORT) $(FLAGS)

test: build browser helm images-setup ## Runs every test that needs no GPU (with PRESET=cuda on a GPU: those too)
	@$(PYTHON) scripts/run_tests.py --build build/$(PRESET)

soak: build browser helm images-setup fuzzers ## Runs what takes longer: fuzzing, long simulations, repetitions, every client
	@$(PYTHON) scripts/run_tests.py --build build/$(PRESET) --soak

setup: ## Installs what a fresh machine lacks
	@scripts/setup.sh $(PRESET)

fuzzers: ## Builds the coverage-guided fuzzers, with clang, into build/fuzz
	@scripts/setup.sh fuzz
	@[ -f build/fuzz/build.ninja ] || cmake --preset fuzz
	@cmake --build --preset fuzz --parallel $(JOBS)

browser helm:
	@scripts/setup.sh $@

images-setup:
	@scripts/setup.sh images

configure: setup
	@[ -f build/$(PRESET)/build.ninja ] || cmake --preset $(PRESET)

build: configure ## Builds PRESET into build/PRESET
	@cmake --build --preset $(PRESET) --parallel $(JOBS)

lint: build ## Checks format, scripts and each header on its own
	@scripts/lint.sh build/$(PRESET)

format: setup ## Formats every source file in place
	@git ls-files '*.h' '*.cc' '*.cu' '*.cuh' | xargs .deps/venv/bin/clang-format -i

bench: build ## Runs the benchmarks that docs/benchmarks quotes
	@scripts/bench.sh build/$(PRESET)

bundle: build ## Writes dist/weft-PRESET.tar.gz: binaries and libraries, relocatable
	@scripts/bundle.sh $(PRESET)

images: build images-setup ## Builds container images of PRESET with buildah, and shows their sizes
	@scripts/images.sh $(PRESET)

clean: ## Removes build and dist; .deps stays
	rm -rf build dist
