# Two images from one file. `web` answers browsers and holds no TensorFlow; `model-service` evaluates networks and works on statistics.
#
#     docker build --target web .        docker build --target model-service --build-arg EVALUATE=gpu .

# Where it matters, name it by its digest as well: docs/deployment.md.
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

FROM ${PYTHON_IMAGE} AS base
ENV PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PATH=/opt/mloscope/bin:$PATH
# A new volume takes over owner and mode of the folder that it is mounted on.
RUN useradd --system --uid 10001 --home-dir /nowhere --shell /usr/sbin/nologin mloscope \
    && mkdir --parents /cache /users /runs /corpora \
    && chown mloscope /cache /users \
    && chmod 700 /users

# What pip is to fetch. In a stage of its own, so that pyproject.toml may change otherwise and nothing is fetched again.
# pandas: other packages can use it, and ours do not. The model service has no pages, and so no use for what draws them.
FROM base AS wanted
WORKDIR /source
COPY pyproject.toml deploy/dependencies.py ./
RUN python dependencies.py jobs,video --without pandas > web.txt \
    && python dependencies.py jobs --without pandas dash dash-bootstrap-components plotly > model-service.txt

# The base image's pip puts packages into /opt/mloscope from outside; in there is none. Our own code comes after what is fetched.
# Bytecode is made at the end, by starting what will be started: the file system will be read-only, and that of everything
# would be twice as much.
FROM base AS build
ENV PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_ROOT_USER_ACTION=ignore
WORKDIR /source
RUN python -m venv --without-pip /opt/mloscope
COPY constraints.txt deploy/slim_packages.sh deploy/start_once.py ./

FROM build AS web-build
COPY --from=wanted /source/web.txt ./
RUN pip --python /opt/mloscope/bin/python install --no-compile --constraint constraints.txt --requirement web.txt \
    && sh slim_packages.sh /opt/mloscope
COPY pyproject.toml README.md LICENSE ./
COPY adaptors adaptors
COPY app app
COPY assets assets
COPY components components
COPY notebook notebook
RUN pip --python /opt/mloscope/bin/python install --no-compile --no-deps . \
    && echo web > /opt/mloscope/mloscope-image \
    && PYTHONDONTWRITEBYTECODE= python -c "import av, distributed, pwdlib.hashers.argon2, pyarrow.parquet; av.Codec('libx264', 'w'); \
import mloscope.app.statistics.clusters.clustering, mloscope.app.statistics.computing.engine; \
distributed.Security.temporary()" \
    && MLOSCOPE_WATCH_RUNS=/runs MLOSCOPE_REDIS_URL=redis://127.0.0.1:9 MLOSCOPE_MODEL_SERVICE_URL=http://127.0.0.1:9 \
        python start_once.py / /metrics /status -- mloscope serve --no-browser --port PORT --workers 2

FROM base AS web
COPY --from=web-build /opt/mloscope /opt/mloscope
WORKDIR /
USER mloscope
EXPOSE 8050
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8050/healthz', timeout=4)"]
CMD ["mloscope", "serve", "--host", "0.0.0.0", "--no-browser"]

FROM build AS model-service-build
# cpu or gpu: which TensorFlow.
ARG EVALUATE=cpu
# binutils: for strip.
RUN apt-get -qq update && apt-get -qq install --yes --no-install-recommends binutils
COPY --from=wanted /source/model-service.txt ./
RUN if [ "$EVALUATE" = gpu ]; then tensorflow='tensorflow[and-cuda]'; else tensorflow=tensorflow-cpu; fi \
    && pip --python /opt/mloscope/bin/python install --no-compile --constraint constraints.txt \
        --requirement model-service.txt "$tensorflow" \
    && sh slim_packages.sh /opt/mloscope
COPY pyproject.toml README.md LICENSE ./
COPY adaptors adaptors
COPY app app
COPY assets assets
COPY components components
COPY notebook notebook
RUN pip --python /opt/mloscope/bin/python install --no-compile --no-deps . \
    && echo model-service > /opt/mloscope/mloscope-image \
    && PYTHONDONTWRITEBYTECODE= python -c "import distributed.cli.dask_worker, pyarrow.parquet; \
import mloscope.app.model_service.backends.keras; \
import mloscope.app.statistics.clusters.clustering, mloscope.app.statistics.computing.engine, mloscope.app.statistics.computing.tasks" \
    && MLOSCOPE_MODEL_SERVICE_TOKEN=none python start_once.py /healthz -- python -m mloscope.app.model_service.server --port PORT \
    && python start_once.py /health -- dask scheduler --no-dashboard --port 0 --dashboard-address 127.0.0.1:PORT

FROM base AS model-service
COPY --from=model-service-build /opt/mloscope /opt/mloscope
WORKDIR /
USER mloscope
EXPOSE 8060
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8060/healthz', timeout=4)"]
CMD ["python", "-m", "mloscope.app.model_service.server", "--host", "0.0.0.0"]
