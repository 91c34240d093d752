# Needletail: `make serve` and `make test` do everything on a fresh Debian machine that has a Swift toolchain.

SWIFT ?= swift
# The product carries the Swift runtime in it; the testing library is only there as a shared one, so tests are built apart.
BUILD := $(SWIFT) build -c release --static-swift-stdlib
TESTS := -c release --scratch-path .build-tests
BINARY := .build/release/needletail
MODELS := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/needletail/models
PORT ?= 8000
GATEWAY_PORT ?= 8080
SERVICES := (Gateway|Hub|Jobs|Providers|Scaling|Worker|WorkerProtocol)Tests\.

.PHONY: serve serverless test build setup model clients-test fuzz clean help

help:
	@echo "make serve   install what is missing, build, get the default model, serve it on port $(PORT)"
	@echo "make serverless   the same behind a gateway: jobs, scale to zero; port $(GATEWAY_PORT)"
	@echo "make test    install what is missing, build, run all tests"
	@echo "make build   build the needletail binary"
	@echo "make fuzz    200,000 mutated files through each checkpoint reader"
	@echo "make clean   remove what was built"

serve: build model
	$(BINARY) serve --port $(PORT) --served-model-name SmolLM2-135M-Instruct

serverless: build model
	$(BINARY) gateway --demo --listen 127.0.0.1:$(GATEWAY_PORT)

build: setup
	$(BUILD) --product needletail

model: build
	Scripts/default-model.sh $(BINARY) "$(MODELS)"

test:
	@Scripts/setup.sh test
	$(SWIFT) build $(TESTS) --build-tests
	Scripts/default-model.sh .build-tests/release/needletail "$(MODELS)"
	# The kernels' tests go through the instruction-set levels of the whole process: nothing else may compute meanwhile.
	$(SWIFT) test $(TESTS) --skip-build --filter CKernelsTests
	# Tests with deadlines apart from those that load the processors or the disk: with both at once the deadlines would say nothing.
	Scripts/with-postgres.sh $(SWIFT) test $(TESTS) --skip-build --filter StoreTests
	$(SWIFT) test $(TESTS) --skip-build --filter '$(SERVICES)'
	$(SWIFT) test $(TESTS) --skip-build --skip CKernelsTests --skip StoreTests --skip '$(SERVICES)'
	Tests/clients/run.sh .build-tests/release/needletail "$(MODELS)"
	Scripts/check-manifests.sh
	Tests/clients/serverless/run.sh .build-tests/release/needletail
	python3 Tests/clients/soak.py --binary .build-tests/release/needletail --minutes 0.7 --model "$$(.build-tests/release/needletail download --quiet)"

fuzz: setup
	$(SWIFT) build $(TESTS) --product fuzz-readers
	.build-tests/release/fuzz-readers all 200000 1

setup:
	@Scripts/setup.sh

clean:
	rm -rf .build .build-tests
