# The operator's image: a Python interpreter, the packages of requirements.lock, and mailproxy.
#
#   docker build --tag mailproxy:dev .          (or podman, or buildah; Docker needs BuildKit)
#
# Both bases can be replaced, for a mirror or to build from what a machine has:
#   BUILD_BASE  needs python3 with pip, and a shell; the same minor version of Python and the same C
#               library as BASE. With Debian: python3-pip; python3-venv is not needed.
#   BASE        needs python3 in its PATH and nothing else: no pip, no venv, no shell. Debian's own
#               python3 will do, and so do other users than 65532: nothing is written anywhere.
#
# pip's settings reach the first stage alone and no layer of the image: build arguments PIP_*, or
# whole files as secrets, which is the place for an index with a password or a company's CA:
#   --secret id=pip.conf,src=/etc/pip.conf
#   --secret id=ca,src=/etc/ssl/certs/ca-certificates.crt --build-arg PIP_CERT=/run/secrets/ca
ARG BUILD_BASE=docker.io/library/python:3.13-slim
ARG BASE=docker.io/library/python:3.13-slim

FROM ${BUILD_BASE} AS build
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ARG PIP_TRUSTED_HOST
ARG PIP_CERT
ARG PIP_DEFAULT_TIMEOUT
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build

# Nothing unpinned is run or installed. Plain folders, no venv: that would name this stage's python.
# Bytecode is made here, as the operator cannot write any, and is unchecked, as copying may change
# the times of sources; not of the Kubernetes client's generated classes, of which three are used:
# 47 MB.
COPY requirements.lock ./
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf --mount=type=secret,id=ca \
    python3 -m pip install --require-hashes --only-binary=:all: --no-compile \
        --target /opt/dependencies --requirement requirements.lock \
    && rm -r /opt/dependencies/bin \
    && python3 -m compileall -q --invalidation-mode unchecked-hash \
        -x '/kubernetes/(aio/)?client/(api|models)/[a-z]' /opt/dependencies

# hatchling and what it needs: the entries of the lock for developers in which its name stands.
COPY requirements-dev.lock ./
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf --mount=type=secret,id=ca \
    python3 -c "import re; lock = open('requirements-dev.lock').read(); \
        print(*(e for e in re.split(r'(?m)^(?=\w)', lock) if 'hatchling' in e))" > build.lock \
    && python3 -m pip install --require-hashes --only-binary=:all: \
        --target /build/backend --requirement build.lock

COPY pyproject.toml README.md LICENSE ./
COPY operator operator
RUN PYTHONPATH=/build/backend python3 -m pip wheel --no-index --no-deps --no-build-isolation \
        --wheel-dir dist . \
    && python3 -m pip install --no-index --no-deps --no-compile --target /opt/mailproxy \
        dist/*.whl \
    && rm -r /opt/mailproxy/bin \
    && python3 -m compileall -q --invalidation-mode unchecked-hash /opt/mailproxy

FROM ${BASE}
# Two layers: where the builder keeps its cache, a change of our code alone leaves the big one as is.
COPY --from=build /opt/dependencies /opt/dependencies
COPY --from=build /opt/mailproxy /opt/mailproxy
# PYTHONSAFEPATH: never import from the working directory. HOME and USER: the user stands in no
# passwd file; without a home the Kubernetes client, and without a name kopf does not even start.
ENV PYTHONPATH=/opt/mailproxy:/opt/dependencies PYTHONSAFEPATH=1 PYTHONDONTWRITEBYTECODE=1 \
    HOME=/ USER=mailproxy
WORKDIR /
# A number, so that Kubernetes can see that it is not root.
USER 65532:65532
# Fails where the bases do not fit together; it needs no shell and leaves no file.
RUN ["python3", "-c", "import mailproxy.app.operator"]

# `make image` sets both.
ARG VERSION
ARG REVISION
LABEL org.opencontainers.image.title="mailproxy" \
      org.opencontainers.image.description="Kubernetes operator that puts a mail server behind a Traefik TCP proxy and keeps the client's address true" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.source="https://github.com/mailproxy/mailproxy-operator" \
      org.opencontainers.image.licenses="MIT"
EXPOSE 8080
ENTRYPOINT ["python3", "-m", "mailproxy"]
CMD ["run"]
