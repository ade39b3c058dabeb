# Three images: one for the operator, the collector, the agents and the command line; one for the loader, which has the client
# of Iceberg catalogs besides; and one for Jobs in which Spark maintains large tables. They share all other layers.
#
#   docker build -t registry.example.com/componentrun:0.1.0 .
#   docker build -t registry.example.com/componentrun-loader:0.1.0 --target loader .
#   docker build -t registry.example.com/componentrun-spark:0.1.0 --target spark .
#
# BASE may be any Debian or Ubuntu image, with Python 3.11 or newer or with an apt that has it
# (`--build-arg BASE=python:3.11-slim-bookworm`). The end-to-end tests build one with mmdebstrap.
ARG BASE=debian:bookworm-slim

# --- what every stage starts from: Python and the public certificate authorities, nothing else
FROM ${BASE} AS python
RUN { command -v python3 && test -e /etc/ssl/certs/ca-certificates.crt; } >/dev/null \
 || { apt-get update \
   && apt-get install --yes --no-install-recommends python3 ca-certificates \
   && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/apt /var/log/dpkg.log; }

# --- dependencies, exactly as in uv.lock (uv checks every hash); compiled, so that a read-only root costs no start time
FROM python AS dependencies
RUN python3 -m pip --version >/dev/null 2>&1 \
 || { apt-get update && apt-get install --yes --no-install-recommends python3-pip; }
WORKDIR /build
COPY requirements-bootstrap.txt ./
RUN python3 -m pip install --quiet --disable-pip-version-check --no-cache-dir --target /uv -r requirements-bootstrap.txt
COPY pyproject.toml uv.lock ./
RUN UV_PROJECT_ENVIRONMENT=/opt/componentrun UV_SYSTEM_CERTS=true PYC_INVALIDATION_MODE=UNCHECKED_HASH \
    /uv/bin/uv sync --frozen --no-dev --no-install-project --no-cache --no-python-downloads \
      --python "$(command -v python3)" --compile-bytecode --link-mode copy \
 && find /opt/componentrun -name '*.pyi' -delete \
 && find /opt/componentrun -type d \( -name tests -o -name test -o -name SelfTest \) -path '*/site-packages/*' -prune \
      -exec rm -rf {} + \
 && find /opt/componentrun/bin ! -name 'python*' ! -type d -delete \
 && ln -s "$(find /opt/componentrun/lib -name site-packages)" /site-packages

# --- what the loader needs besides: only what is not there already, so that its image shares the layer above
FROM dependencies AS loader-dependencies
RUN ls /site-packages > /there \
 && UV_PROJECT_ENVIRONMENT=/opt/componentrun UV_SYSTEM_CERTS=true PYC_INVALIDATION_MODE=UNCHECKED_HASH \
    /uv/bin/uv sync --frozen --no-dev --extra loader --no-install-project --no-cache --no-python-downloads \
      --python "$(command -v python3)" --compile-bytecode --link-mode copy \
 && mkdir -p "/stage$(readlink /site-packages)" \
 && cd /site-packages \
 && ls | grep --invert-match --line-regexp --fixed-strings --file /there \
      | xargs -I{} mv {} "/stage$(readlink /site-packages)/" \
 && find /stage -name '*.pyi' -delete

# --- Spark, and Iceberg's jars, exactly as pinned
FROM python AS spark-dependencies
RUN python3 -m pip --version >/dev/null 2>&1 \
 || { apt-get update && apt-get install --yes --no-install-recommends python3-pip; }
WORKDIR /build
COPY requirements-spark.txt spark-jars.txt ./
ARG MAVEN_REPOSITORY=https://repo1.maven.org/maven2
RUN python3 -m pip install --quiet --disable-pip-version-check --no-cache-dir --require-hashes --no-deps \
      --target /stage/opt/spark --requirement requirements-spark.txt \
 && rm -rf /stage/opt/spark/pyspark/examples /stage/opt/spark/pyspark/data /stage/opt/spark/pyspark/jars/kubernetes-* \
      /stage/opt/spark/pyspark/tests /stage/opt/spark/pyspark/pandas /stage/opt/spark/bin \
 && mkdir /stage/opt/spark-jars \
 && python3 -c 'import sys, urllib.request; \
[urllib.request.urlretrieve(f"{sys.argv[1]}/{path}", "/stage/opt/spark-jars/" + path.rpartition("/")[2]) \
 for path in (line.split()[1] for line in open("spark-jars.txt"))]' "$MAVEN_REPOSITORY" \
 && sed 's|  .*/|  /stage/opt/spark-jars/|' spark-jars.txt | sha256sum --check --quiet

# Unpacked and not installed: its dependencies are for windows and printers, and its set-up converts authorities for Java,
# which `componentrun.spark` does itself.
FROM python AS java
RUN cd /tmp \
 && apt-get update \
 && apt-get install --yes --no-install-recommends libstdc++6 zlib1g \
 && apt-get download openjdk-17-jre-headless \
 && dpkg-deb --extract openjdk-17-jre-headless_*.deb / \
 && ln -s /usr/lib/jvm/java-17-openjdk-* /opt/java \
 && /opt/java/bin/java -version \
 && rm -rf openjdk-17-jre-headless_*.deb /usr/share/doc/openjdk* /usr/share/man/* \
      /var/lib/apt/lists/* /var/cache/apt/* /var/log/apt /var/log/dpkg.log

# --- the code itself: a layer of its own, the only one that changes from day to day
FROM dependencies AS code
COPY operator/componentrun /code/componentrun
RUN python3 -m compileall -q --invalidation-mode unchecked-hash /code/componentrun \
 && mkdir -p /stage/opt/componentrun/bin "/stage$(readlink /site-packages)" \
 && mv /code/componentrun "/stage$(readlink /site-packages)/" \
 && printf '#!/opt/componentrun/bin/python3\nfrom componentrun.cli.app import main\n\nmain()\n' \
    > /stage/opt/componentrun/bin/componentrun \
 && chmod 0755 /stage/opt/componentrun/bin/componentrun

FROM python AS everything-else
LABEL org.opencontainers.image.title="ComponentRun" \
      org.opencontainers.image.description="Run other people's code on your tables, safely, on Kubernetes" \
      org.opencontainers.image.licenses="Apache-2.0"
# ssh reads git repositories of builds (decision 0114). It refuses to work for a user without a name.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends openssh-client \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/apt /var/log/dpkg.log \
 && echo 'componentrun:x:1000:1000::/tmp:/usr/sbin/nologin' >> /etc/passwd
COPY --from=dependencies /opt/componentrun /opt/componentrun
COPY --from=code /stage /
# HOME is where DuckDB would look for extensions; the root may be read-only, /tmp is where a volume is mounted.
ENV PATH=/opt/componentrun/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    LANG=C.UTF-8 \
    USER=componentrun \
    HOME=/tmp
USER 1000:1000
WORKDIR /
CMD ["componentrun", "--help"]

FROM everything-else AS loader
COPY --from=loader-dependencies /stage /
CMD ["python3", "-m", "componentrun.loader"]

FROM java AS spark
LABEL org.opencontainers.image.title="ComponentRun Spark" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=spark-dependencies /stage /
COPY --from=dependencies /opt/componentrun /opt/componentrun
COPY --from=loader-dependencies /stage /
COPY --from=code /stage /
# Java wants a name for whoever starts it.
RUN echo 'componentrun:x:1000:1000::/tmp:/usr/sbin/nologin' >> /etc/passwd
ENV PATH=/opt/componentrun/bin:/usr/local/bin:/usr/bin:/bin \
    JAVA_HOME=/opt/java \
    PYTHONPATH=/opt/spark \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    LANG=C.UTF-8 \
    USER=componentrun \
    HOME=/tmp
USER 1000:1000
WORKDIR /tmp
CMD ["python3", "-m", "componentrun.spark"]

# The last one is built unless a target is named.
FROM everything-else
