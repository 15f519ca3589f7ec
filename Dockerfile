# The image of Pattern Server: the locked packages, the project, and the catalogue. The catalogue is trained at build, so
# that a container answers at once.
#
#   docker build -t pattern-server .                          with CUDA: --build-arg EXTRA=gpu, and run with --gpus all
#   docker run --init -p 127.0.0.1:8000:8000 -v patterns:/var/lib/patterns -e PATTERNS_ADMIN_KEY pattern-server
#   docker run --init -v patterns:/var/lib/patterns pattern-server list             any other `patterns` command
#   docker run --init -p 8080:8080 pattern-server serve                             port 8080, as SageMaker expects
#
# `-e PATTERNS_ENGINE=onnx` serves without TensorFlow: a serving process takes a quarter of the memory and is ready in a
# second. The trainer still needs TensorFlow.
#
#   docker build --target serve -t pattern-server:serve .     an image a fifth as large, which trains nothing
#   docker run --init -p 127.0.0.1:8000:8000 -v patterns:/var/lib/patterns -e PATTERNS_ADMIN_KEY pattern-server:serve
#
# It has neither TensorFlow nor a catalogue, and serves what its volume holds: what the full image has trained there, or
# what `patterns import` brings. With PATTERNS_TRAINER=elsewhere it leaves trainings to a server on the same store and
# database: `docker compose --profile split`.
#
# PATTERNS_ADMIN_KEY guards everything that changes state. `-e` without a value takes the key from the shell, so that it
# appears in no list of processes; `--env-file` takes it from a file. Without a key, the server makes one at each start
# and prints it once (`docker logs`).
#
# Only the store and /tmp are ever written, so `--read-only --tmpfs /tmp` works. Docker fills a new named volume with the
# trained catalogue. It does not fill a directory of the host or a volume of Kubernetes: make that writable for user
# 10001, and run `train --missing`. With --init, signals also stop a command that has not installed its handlers yet.

ARG BASE=python:3.12-slim

FROM ${BASE} AS packages
ARG EXTRA=""
COPY requirements${EXTRA:+-$EXTRA}.lock /requirements.lock
COPY unused.sh /unused.sh
# The environment needs no pip of its own: that of the base image installs into it.
RUN python3 -m venv --without-pip /opt/patterns \
 && pip --python /opt/patterns/bin/python --disable-pip-version-check \
        install --no-cache-dir --root-user-action=ignore --require-hashes -r /requirements.lock \
 && /unused.sh /opt/patterns

FROM ${BASE} AS serve-packages
RUN apt-get update --quiet=2 && apt-get install --quiet=2 --no-install-recommends --yes binutils
COPY requirements-serve.lock /requirements.lock
COPY unused.sh /unused.sh
RUN python3 -m venv --without-pip /opt/patterns \
 && pip --python /opt/patterns/bin/python --disable-pip-version-check \
        install --no-cache-dir --root-user-action=ignore --require-hashes -r /requirements.lock \
 && /unused.sh /opt/patterns lean

FROM ${BASE} AS project
WORKDIR /source
COPY requirements.lock ./
# Setuptools alone, of the locked version: neither kind of packages is needed to install the project.
RUN python3 -m venv --without-pip /opt/patterns \
 && awk '/^[a-z]/ { wanted = /^setuptools==/ } wanted' requirements.lock > setuptools.lock \
 && pip --python /opt/patterns/bin/python --disable-pip-version-check \
        install --no-cache-dir --root-user-action=ignore --require-hashes -r setuptools.lock
COPY pyproject.toml README.md ./
COPY app app
COPY models_store models_store
COPY training training
# Installed beside the environment, so that a change of the source changes a small layer, not that with TensorFlow.
RUN pip --python /opt/patterns/bin/python --disable-pip-version-check \
        install --no-cache-dir --root-user-action=ignore --no-warn-script-location \
        --no-build-isolation --no-deps --root /project .

FROM ${BASE} AS base
RUN groupadd --gid 10001 patterns \
 && useradd --uid 10001 --gid 10001 --no-log-init --no-create-home --home-dir /nonexistent \
            --shell /usr/sbin/nologin patterns \
 && install --directory --owner 10001 --group 10001 /var/lib/patterns
# Keras and Matplotlib look for settings, and keep caches, in HOME.
ENV PATH=/opt/patterns/bin:$PATH \
    HOME=/tmp \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PATTERNS_HOST=0.0.0.0 \
    PATTERNS_STORE=/var/lib/patterns
EXPOSE 8000 8080
# Asks the address that the server listens on; on Linux, 0.0.0.0 and :: lead back to this container. If no variable
# sets the port, entrypoint.sh has chosen 8000 or 8080, so both are tried. http.client uses no proxy, even if Docker has
# put one into the environment; urllib.request would.
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=3 CMD ["python", "-I", "-c", "\
import http.client, os, socket, sys; \
host, port = os.environ['PATTERNS_HOST'], os.environ.get('PATTERNS_PORT') or os.environ.get('AIP_HTTP_PORT'); \
family = socket.AF_INET6 if ':' in host else socket.AF_INET; \
ports = [port] if port else [port for port in (8000, 8080) if not socket.socket(family).connect_ex((host, port))]; \
server = http.client.HTTPConnection(host, int(ports[0]), timeout=4); \
server.request('GET', '/livez'); \
sys.exit(server.getresponse().status != 200)"]
LABEL org.opencontainers.image.title="Pattern Server" \
      org.opencontainers.image.description="Trains small Keras networks on patterns in numbers and serves them."
# On a signal the server finishes what is under way, for up to PATTERNS_DRAIN_SECONDS (20). `docker stop --time 30`
# gives it that time.
COPY entrypoint.sh /usr/local/bin/entrypoint.sh
ENTRYPOINT ["entrypoint.sh"]

FROM base AS serve
COPY --from=serve-packages /opt/patterns /opt/patterns
COPY --from=project /project /
ENV PATTERNS_ENGINE=onnx
# Given as a number, so that Kubernetes can see that it is not root.
USER 10001:10001
VOLUME /var/lib/patterns
# At the end, so that another revision builds no layer anew.
ARG REVISION=unknown
LABEL org.opencontainers.image.revision=$REVISION

FROM base AS full
COPY --from=packages /opt/patterns /opt/patterns
COPY --from=project /project /
USER 10001:10001
RUN patterns train --missing \
 && rm -rf /tmp/* /tmp/.[!.]*
# Declared after the training, because Docker discards what a build writes into a volume.
VOLUME /var/lib/patterns
ARG REVISION=unknown
LABEL org.opencontainers.image.revision=$REVISION
