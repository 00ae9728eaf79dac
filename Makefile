# Two commands do everything on a fresh machine: `make up` and `make test`.
.DEFAULT_GOAL := help
.PHONY: help up test bench ltv fuzz peers exchange failover chaos fmt

TARGET := $(or $(CARGO_TARGET_DIR),target)

help: ## List these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

up: ## Build for release and run every service on the documented ports (Ctrl-C stops)
	cargo build --release --bin kiki
	@exec $(TARGET)/release/kiki up $(ARGS)

test: ## Check everything: format, lints, all tests with a real PostgreSQL and Redis
	@exec bash scripts/test.sh

bench: ## Measure the figures of the README and write them into it
	@exec bash scripts/bench.sh

ltv: ## Measure how good forecasts of value are and write that into the README
	@exec bash scripts/ltv.sh

fuzz: ## Send the API at least 20,000 requests made from its documents, with authentication on
	@KIKI_FUZZ_SECONDS=$${KIKI_FUZZ_SECONDS:-1200} KIKI_FUZZ_EXAMPLES=$${KIKI_FUZZ_EXAMPLES:-200} \
		exec bash scripts/test.sh --fuzz-only

peers: ## Talk to other people's software: Rotel, buf, MLflow, and onnxruntime for the speed
	@exec bash scripts/peers.sh

exchange: ## Play a simulated exchange for ten minutes, also killed and with its database restarted
	@exec bash scripts/exchange.sh

failover: ## Measure how soon another node answers for what a killed one owned
	cargo build --release --bin kiki
	@exec bash scripts/failover.sh

chaos: ## Order faults against clusters of this machine and check what they did (ARGS="--tag short")
	@exec bash scripts/chaos.sh $(ARGS)

fmt: ## Format the code
	cargo fmt
