# Pattern Server as an image: the locked packages, the project, and the catalogue, trained at build so that a container
# answers at once.
#
#   docker build -t pattern-server .                          with CUDA: --build-arg EXTRA=gpu, and run with --gpus all
#   docker run --init -p 127.0.0.1:8000:8000 -v patterns:/var/lib/patterns -e PATTERNS_ADMIN_KEY pattern-server
#   docker run --init -v patterns:/var/lib/patterns pattern-server list                   any other `patterns` command
#   docker run --init -p 8080:8080 pattern-server serve                                   as SageMaker starts it: port 8080
#
# `-e PATTERNS_ENGINE=onnx` serves without TensorFlow: in a quarter of the memory, but for the trainer, and at once.
#
# PATTERNS_ADMIN_KEY guards everything that changes state. `-e` without a value takes it from the shell, so that no list
# of processes shows it; `--env-file` takes it from a file. Without one the server makes a key at each start, and prints
# it once: see `docker logs`.
#
# All that is ever written is the store and /tmp: `--read-only --tmpfs /tmp` works. A fresh named volume is filled with
# the trained catalogue. A directory of the host or a volume of Kubernetes is not: make it writable for user 10001, and
# `train --missing` fills it. With --init a command can also be stopped before it has asked for signals.

ARG BASE=python:3.12-slim

FROM ${BASE} AS packages
ARG EXTRA=""
COPY requirements${EXTRA:+-$EXTRA}.lock /requirements.lock
# The environment needs no pip of its own: the base's works in it from outside. TensorFlow's headers are 430 MB, and
# nothing here compiles against them.
RUN python -m venv --without-pip /opt/patterns \
 && pip --python /opt/patterns/bin/python --disable-pip-version-check \
        install --no-cache-dir --root-user-action=ignore --require-hashes -r /requirements.lock \
 && rm -rf /opt/patterns/lib/python3.*/site-packages/tensorflow/include

FROM packages AS project
WORKDIR /source
COPY pyproject.toml README.md ./
COPY app app
COPY models_store models_store
COPY training training
# Beside the environment, not into it: a change of the source then changes a small layer, not the one with TensorFlow.
RUN pip --python /opt/patterns/bin/python --disable-pip-version-check \
        install --no-cache-dir --root-user-action=ignore --no-warn-script-location \
        --no-build-isolation --no-deps --root /project .

FROM ${BASE}
RUN groupadd --gid 10001 patterns \
 && useradd --uid 10001 --gid 10001 --no-log-init --no-create-home --home-dir /nonexistent \
            --shell /usr/sbin/nologin patterns \
 && install --directory --owner 10001 --group 10001 /var/lib/patterns
COPY --from=packages /opt/patterns /opt/patterns
COPY --from=project /project /
# HOME is where Keras and Matplotlib look for settings and keep caches.
ENV PATH=/opt/patterns/bin:$PATH \
    HOME=/tmp \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PATTERNS_HOST=0.0.0.0 \
    PATTERNS_STORE=/var/lib/patterns
# A number, so that Kubernetes can see that it is not root.
USER 10001:10001
RUN patterns train --missing \
 && rm -rf /tmp/* /tmp/.[!.]*
# After the training: what a build writes into a volume is lost.
VOLUME /var/lib/patterns
EXPOSE 8000 8080
# Asks the address that is listened on: on Linux 0.0.0.0 and :: lead back here. Which of its ports entrypoint.sh has
# chosen does not show here. http.client, unlike urllib.request, asks no proxy, though Docker may put one into the
# environment.
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=3 CMD ["python", "-I", "-c", "\
import http.client, os, socket, sys; \
host, port = os.environ['PATTERNS_HOST'], os.environ.get('PATTERNS_PORT') or os.environ.get('AIP_HTTP_PORT'); \
family = socket.AF_INET6 if ':' in host else socket.AF_INET; \
ports = [port] if port else [port for port in (8000, 8080) if not socket.socket(family).connect_ex((host, port))]; \
server = http.client.HTTPConnection(host, int(ports[0]), timeout=4); \
server.request('GET', '/livez'); \
sys.exit(server.getresponse().status != 200)"]
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Pattern Server" \
      org.opencontainers.image.description="Trains small Keras networks on patterns in numbers and serves them." \
      org.opencontainers.image.revision=$REVISION
# Signals reach the server, which then finishes what is under way, for up to PATTERNS_DRAIN_SECONDS (20);
# `docker stop --time 30` leaves it that time.
COPY entrypoint.sh /usr/local/bin/entrypoint.sh
ENTRYPOINT ["entrypoint.sh"]
