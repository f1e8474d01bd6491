# What a developer types. `make help` lists the targets.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

export REVERTANT_VENV ?= .venv
venv := $(REVERTANT_VENV)/bin
target_dir = $(or $(CARGO_TARGET_DIR),target)
# What the programs are built with besides the default features.
features = corruptor/object-store,serve/kafka,serve/avro

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "%-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup: ## check what must be installed, and create the Python environment
	@scripts/require cargo cc cmake npm python3 curl git
	@scripts/venv

.PHONY: build
build: ## build the three programs, optimized, for the CPU
	cargo build --locked --release --workspace --bins --features $(features)

.PHONY: cuda
cuda: ## build finetune and serve for NVIDIA GPUs into target/cuda (needs no GPU)
	scripts/cuda-build finetune serve

.PHONY: test-cuda
test-cuda: ## on a machine with an NVIDIA GPU: gradient checks, fixtures and a short training there
	scripts/test-cuda

.PHONY: test
test: setup ## run all tests: cargo test, then pytest on the same binaries
	@scripts/require go java mvn
	cargo test --locked --workspace --features $(features)
	REVERTANT_BIN_DIR="$$(cd $(target_dir)/debug && pwd)" $(venv)/python -m pytest

.PHONY: test-stream
test-stream: setup ## test the stream alone, on Apache Kafka and a schema registry (Java 17 and Maven); part of test
	@scripts/require java mvn
	cargo build --locked --workspace --bins --features $(features)
	REVERTANT_BIN_DIR="$$(cd $(target_dir)/debug && pwd)" $(venv)/python -m pytest tests/test_stream.py tests/test_stream_avro.py tests/test_stream_login.py

.PHONY: lint
lint: setup ## formatting and lints of the Rust and the Python code
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets --features $(features) -- -D warnings
	$(venv)/ruff format --check .
	$(venv)/ruff check .

.PHONY: format
format: setup ## format the Rust and the Python code
	cargo fmt --all
	$(venv)/ruff format .
	$(venv)/ruff check --fix .

.PHONY: audit
audit: ## check licences, versions and origins of the crates that are built in, and known flaws where their database can be fetched
	@scripts/require cargo
	@scripts/audit

.PHONY: fuzz
fuzz: ## run every fuzz target for MINUTES=10 minutes (TARGETS="csv jsonl": only these)
	@scripts/fuzz $(TARGETS)

.PHONY: peers
peers: ## compare with transformers and peft: installs them (6 GB) and makes the fixtures of crates/restorer again
	"$$(scripts/peers)/bin/python" -m pytest tests/peers

.PHONY: demo
demo: setup ## the whole path on real text, some 20 minutes on two cores (DEMO_MINUTES=4 of training, DEMO_TEXTS=folder of your own)
	$(venv)/python scripts/demo.py

.PHONY: bench
bench: ## compare the corruptor with its peers, about 15 minutes (BENCH_ARGS="--quick", or --publish)
	@scripts/require cargo cc npm python3
	python3 -m bench.corruptor $(BENCH_ARGS)

.PHONY: openapi
openapi: ## write docs/openapi.json, the description of the HTTP API
	cargo run --locked --quiet --package serve --bin serve -- openapi > docs/openapi.json

.PHONY: model
model: ## make models/large, the prior of recipes/large.toml, the shipped model, models/default
	scripts/ship-model models/large models/default
