# syntax=docker/dockerfile:1
FROM python:3.11.13-slim-bookworm AS build
WORKDIR /src
COPY requirements/base.txt requirements/build.txt requirements/
RUN python -m venv /opt/prbot && \
    /opt/prbot/bin/pip install --no-cache-dir --require-hashes -r requirements/base.txt && \
    python -m venv /opt/build && \
    /opt/build/bin/pip install --no-cache-dir --require-hashes -r requirements/build.txt
COPY pyproject.toml README.md LICENSE ./
COPY prbot prbot
COPY workflows workflows
RUN /opt/build/bin/python -m hatchling build -t wheel -d /tmp/wheel && \
    /opt/prbot/bin/pip install --no-cache-dir --no-deps --no-index /tmp/wheel/*.whl

# The engine, whose archive must have the digest that the builder names: take it from the release's SHA256SUMS, after
# checking that file's signature.
FROM python:3.11.13-slim-bookworm AS engine
ARG TERRAFORM_VERSION=1.11.4
ARG TERRAFORM_SHA256
ADD https://releases.hashicorp.com/terraform/${TERRAFORM_VERSION}/terraform_${TERRAFORM_VERSION}_linux_amd64.zip /tmp/engine.zip
RUN test -n "${TERRAFORM_SHA256}" && \
    echo "${TERRAFORM_SHA256}  /tmp/engine.zip" | sha256sum --check --strict && \
    python -m zipfile -e /tmp/engine.zip /opt/engine && chmod 0755 /opt/engine/terraform

FROM python:3.11.13-slim-bookworm
RUN apt-get update && \
    apt-get install --yes --no-install-recommends bubblewrap git iproute2 slirp4netns && \
    rm -rf /var/lib/apt/lists/* && \
    useradd --system --uid 10001 --home-dir /var/lib/prbot --create-home prbot
COPY --from=build /opt/prbot /opt/prbot
COPY --from=engine /opt/engine/terraform /usr/local/bin/terraform
ENV PATH=/opt/prbot/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONUNBUFFERED=1 \
    PRBOT_BIND=0.0.0.0:4242 \
    PRBOT_DATA_DIR=/var/lib/prbot
USER 10001
WORKDIR /var/lib/prbot
VOLUME /var/lib/prbot
EXPOSE 4242
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:4242/healthz', timeout=4)"]
ENTRYPOINT ["prbot"]
CMD ["serve"]
