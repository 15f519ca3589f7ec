# Two commands: `make serve` and `make test`. Both make the environment first; Python >= 3.11 is all they need.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SOURCES := app models_store training tests benchmarks
ARGS ?=

.PHONY: serve test postgresql browser test-clients check check-page format bench bench-peers lock clean
.DELETE_ON_ERROR:

serve: $(VENV)/serve.done
	$(BIN)/patterns serve --train-missing $(ARGS)

test: $(VENV)/dev.done check postgresql browser
	$(BIN)/python -m pytest $(ARGS)
	$(BIN)/python -m tests.clients

# The server that tests of job records start; installed only where it is missing, for root, with apt-get.
postgresql:
	@tests/install_postgresql.sh

# Likewise the browser that tests of the page drive.
browser:
	@tests/install_browser.sh

check: $(VENV)/dev.done check-page
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/lint-imports

# The types and the format of the page's scripts, which run as they are; Node.js is needed for this alone.
check-page:
	@tests/browser/check.sh

# Other people's clients, each in an environment of its own; ARGS=with_triton for one of them.
test-clients: $(VENV)/dev.done
	$(BIN)/python -m tests.clients $(ARGS)

format: $(VENV)/dev.done
	$(BIN)/ruff check --fix $(SOURCES)
	$(BIN)/ruff format $(SOURCES)
	@tests/browser/check.sh --write

bench: $(VENV)/dev.done
	$(BIN)/python -m benchmarks $(ARGS)

# Also makes an environment for each peer; TensorFlow is linked into them, not copied, where the disk allows that.
bench-peers: $(VENV)/dev.done
	$(BIN)/python -m benchmarks --peers all $(ARGS)

# Exact versions and hashes, for every platform and Python; no index address goes in.
lock: $(VENV)/dev.done
	for kind in "requirements:--extra postgres --extra onnx" "requirements-dev:--extra dev" "requirements-gpu:--extra postgres --extra onnx --extra gpu"; do \
	  $(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
	    --no-annotate --quiet --upgrade pyproject.toml $${kind#*:} --output-file $${kind%:*}.lock || exit 1; \
	done

clean:
	rm -rf $(VENV) build *.egg-info tests/browser/node_modules

# --no-build-isolation: setuptools comes from the lock as well, so nothing unpinned is ever fetched.
INSTALL := $(BIN)/python -m pip --disable-pip-version-check install --quiet
$(VENV)/serve.done: requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; try make PYTHON=python3.12")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing the locked packages (TensorFlow is large: the first time takes a minute or more)"
	$(INSTALL) --require-hashes -r requirements.lock
	$(INSTALL) --no-build-isolation --no-deps --editable .
	touch $@

$(VENV)/dev.done: $(VENV)/serve.done requirements-dev.lock
	$(INSTALL) --require-hashes -r requirements-dev.lock
	touch $@
