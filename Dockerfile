# Mensageiro in a container: docs/container.md. The base is chosen by hand; all else comes from locks with hashes.
ARG BASE=python:3.12-slim-bookworm

FROM ${BASE} AS build
WORKDIR /src
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ONLY_BINARY=:all:
COPY requirements/build.txt requirements/runtime.txt requirements/
# What is run goes into an environment of its own, which knows neither pip nor what builds the wheel.
RUN pip install --require-hashes -r requirements/build.txt \
 && python -m venv --without-pip /opt/mensageiro \
 && pip --python /opt/mensageiro/bin/python install --require-hashes -r requirements/runtime.txt
COPY pyproject.toml README.md LICENSE ./
COPY gateway gateway
RUN hatchling build -t wheel -d /dist \
 && pip --python /opt/mensageiro/bin/python install --no-deps --no-index /dist/*.whl

FROM ${BASE}
LABEL org.opencontainers.image.title="Mensageiro" \
      org.opencontainers.image.description="SMPP gateway between an MQTT queue and a Brazilian SMS provider" \
      org.opencontainers.image.licenses="MIT"
RUN groupadd --gid 10001 mensageiro \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin mensageiro \
 && install -d -o mensageiro -g mensageiro -m 0700 /var/lib/mensageiro
COPY --from=build /opt/mensageiro /opt/mensageiro
# The instance is fixed: the broker's session and the journal belong to it, and a container's host name changes with every container.
ENV PATH=/opt/mensageiro/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    MENSAGEIRO_CONFIG=/etc/mensageiro/gateway.toml \
    MENSAGEIRO_GATEWAY__INSTANCE=mensageiro \
    MENSAGEIRO_GATEWAY__STATE_DIR=/var/lib/mensageiro
# By number, so that an orchestrator can tell that it is not root.
USER 10001:10001
# The journal. It is all the state there is: one container at a time may use it.
VOLUME /var/lib/mensageiro
EXPOSE 9080 9090
STOPSIGNAL SIGTERM
# Alive, not ready: where unhealthy containers are replaced, a provider that is down must not cause it. Readiness is /readyz.
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=4 CMD ["mensageiro", "healthcheck", "--live"]
ENTRYPOINT ["mensageiro"]
CMD ["run"]
