.DEFAULT_GOAL := help
.PHONY: help setup build study test test-neon bench format lint sanitize install clean
BUILD := build/release
CONFIGURE = cmake --preset release >build/configure.log 2>&1 || { cat build/configure.log; exit 1; }

help: ## What you can do here
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup:
	@scripts/setup.sh build

build: setup ## Set up and build; leaves the program at build/headlight
	@$(CONFIGURE)
	@cmake --build --preset release --target headlight
	@ln -sf release/headlight build/headlight

study: build ## The main job: how many heads does a task need, at a fixed budget?
	@build/headlight study --out build/study

test: ## Set up, build and run all tests
	@scripts/setup.sh test
	@$(CONFIGURE)
	@cmake --build --preset release
	@ln -sf release/headlight build/headlight
	@build/venv/bin/python tests/run.py $(BUILD)

test-neon: ## The attention tests as aarch64 code under emulation (500 MB of packages, minutes)
	@scripts/setup.sh neon
	@cmake -S . -B build/neon -G Ninja --toolchain cmake/aarch64.cmake -DCMAKE_BUILD_TYPE=Release \
	  -DHEADLIGHT_LAB=OFF >build/configure.log 2>&1 || { cat build/configure.log; exit 1; }
	@cmake --build build/neon
	@GTEST_FILTER=-LongAttention.* ctest --test-dir build/neon --output-on-failure

bench: build ## Speed beside PyTorch, ONNX Runtime and OpenVINO, as ratios in one run
	@scripts/setup.sh bench
	@cmake --build --preset release --target headlight_shared headlight
	@build/bench-venv/bin/python bench/attention.py
	@$(BUILD)/headlight bench training-step

format: ## Rewrite the sources in the project's format
	@scripts/setup.sh lint
	@git ls-files '*.cpp' '*.h' '*.inl' '*.c' | xargs build/lint-venv/bin/clang-format -i

lint: setup ## Check format and look for bugs with clang-tidy
	@scripts/setup.sh lint
	@git ls-files '*.cpp' '*.h' '*.inl' '*.c' | xargs build/lint-venv/bin/clang-format --dry-run -Werror
	@$(CONFIGURE)
	@scripts/lint.sh $(BUILD)
	@npm --prefix web run --silent check

sanitize: ## All floors' tests under AddressSanitizer, UBSan and ThreadSanitizer
	@scripts/setup.sh test
	@scripts/sanitize.sh asan
	@scripts/sanitize.sh tsan

install: build ## Install the program to PREFIX (default /usr/local)
	@cmake --install $(BUILD) --prefix $(or $(PREFIX),/usr/local)

clean: ## Remove what was built; downloads in build/*venv stay
	@[ ! -d build ] || find build -mindepth 1 -maxdepth 1 ! -name "*venv" -exec rm -rf {} +
