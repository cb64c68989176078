# stead's commands. Everything is built for one static target: musl where rustup has it, else glibc. With LIBC=musl it is
# musl on any Debian machine (docker/toolchain.sh), for each of them: `make image LIBC=musl`.
ARCH   := $(shell uname -m)
MUSL   := $(ARCH)-unknown-linux-musl
GNU    := $(ARCH)-unknown-linux-gnu
# The C code of TLS wants a compiler for musl too.
RUSTUP_MUSL := $(shell test -d "$$(rustc --print target-libdir --target $(MUSL) 2>/dev/null)" && command -v musl-gcc)
LIBC   ?= $(if $(RUSTUP_MUSL),musl,gnu)
TARGET ?= $(if $(filter musl,$(LIBC)),$(MUSL),$(GNU))
# The target of all but the binary: tests, examples and benches need a standard library that is there.
REST   := $(if $(and $(filter $(MUSL),$(TARGET)),$(RUSTUP_MUSL)),$(MUSL),$(GNU))
TARGET_DIR := $(or $(CARGO_TARGET_DIR),target)
BIN    := $(TARGET_DIR)/$(TARGET)/release/stead
# What the file may grow to; a change that needs more says why beside this line. 2.2 MB with glibc before the checks of
# dependencies; TLS and the drivers of Postgres, Redis and RabbitMQ brought it to 4.9, the command's lines as JSON (with
# regular expressions) to 5.1, hooks, locks, sidecars, sd_notify and waiting for connections to 5.4. With musl: 4 MiB.
BUDGET := $(if $(filter %-musl,$(TARGET)),4194304,5500000)

# What is built beside the binary is as it is: static, at a fixed address (docker/cargo.sh says why).
STATIC := -C target-feature=+crt-static -C relocation-model=static
export CARGO_BUILD_TARGET := $(REST)
export CARGO_TARGET_$(shell echo $(REST) | tr a-z- A-Z_)_RUSTFLAGS := $(STATIC)
export STEAD_BIN = $(abspath $(BIN))

.PHONY: build musl dist check test fuzz bench image demo clean

build: ## the static release binary, within its budget of bytes
	docker/cargo.sh $(TARGET) build --release --locked --bin stead
	@size=$$(stat -c %s $(BIN)); echo "$(BIN): $$size of $(BUDGET) bytes"; test $$size -le $(BUDGET)

musl: ## the smaller binary, with musl, on any Debian machine
	@$(MAKE) --no-print-directory build LIBC=musl

dist: ## what is released, into target/dist: archives, Debian packages, SBOMs, checksums, for x86-64 and arm64
	@for target in x86_64-unknown-linux-gnu x86_64-unknown-linux-musl aarch64-unknown-linux-gnu; do \
		$(MAKE) --no-print-directory build TARGET=$$target || exit 1; done
	docker/dist.sh $(TARGET_DIR)/dist

check: ## format, lints, documentation, dependencies
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps --document-private-items
	@if cargo deny --version >/dev/null 2>&1; then cargo deny --offline check bans licenses sources; \
	else echo "check: cargo-deny is not installed (cargo install cargo-deny): deny.toml was not checked"; fi

# What is released is tested too, but not where only other tests are asked for, or where it cannot be made.
test: build $(if $(filter-out dist::%,$(TESTS))$(filter-out x86_64,$(ARCH)),,dist) ## all tests against the real binary, real servers and real containers; TESTS=drain:: for some
	tests/run.sh $(TESTS)

# No sanitizer: that needs a nightly compiler, and the code under test has no unsafe. The seeds are the tests' own traces.
SECONDS ?= 60
FUZZ    := tests/fuzz
fuzz: ## SECONDS of random output through the line machine: its bytes come back in order
	@cargo fuzz --version >/dev/null 2>&1 || { echo "fuzz: needs cargo-fuzz (cargo install cargo-fuzz) and a C++ compiler"; exit 1; }
	mkdir -p $(FUZZ)/corpus/line
	cargo fuzz run --fuzz-dir $(FUZZ) --sanitizer none line $(FUZZ)/corpus/line src/lines/trace/tests \
		-- -max_total_time=$(SECONDS) -max_len=8192

bench: build musl ## size, memory and speed beside the peers, in one run
	STEAD_MUSL_BIN=$(abspath $(TARGET_DIR))/$(MUSL)/release/stead benches/run.sh

image: build ## the image with nothing but the binary; with LIBC=musl a smaller one
	docker/build.sh

demo: build ## stead in front of a small server: ask it, then send TERM from another terminal
	examples/demo.sh

clean:
	cargo clean
