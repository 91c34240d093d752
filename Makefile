# Needletail: `make serve` and `make test` do everything on a fresh Debian machine that has a Swift toolchain.

SWIFT ?= swift
# One configuration builds the product and the tests, so nothing is compiled twice.
BUILD := $(SWIFT) build -c release --static-swift-stdlib
BINARY := .build/release/needletail
MODELS := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/needletail/models
PORT ?= 8000

.PHONY: serve test build setup model clients-test fuzz clean help

help:
	@echo "make serve   install what is missing, build, get the default model, serve it on port $(PORT)"
	@echo "make test    install what is missing, build, run all tests"
	@echo "make build   build the needletail binary"
	@echo "make fuzz    200,000 mutated files through each checkpoint reader"
	@echo "make clean   remove what was built"

serve: build model
	$(BINARY) serve --port $(PORT)

build: setup
	$(BUILD) --product needletail

model: build
	Scripts/default-model.sh $(BINARY) "$(MODELS)"

test: setup
	$(BUILD) --product needletail
	$(BUILD) --build-tests
	$(SWIFT) test -c release --static-swift-stdlib --skip-build
	Tests/clients/run.sh $(BINARY) "$(MODELS)"

setup:
	@Scripts/setup.sh

clean:
	rm -rf .build
