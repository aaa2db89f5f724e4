# Two images from one file. `web` answers browsers and holds no TensorFlow; `model-service` evaluates networks and works on statistics.
#
#     docker build --target web .        docker build --target model-service --build-arg EVALUATE=gpu .

ARG PYTHON_IMAGE=python:3.11-slim-bookworm

FROM ${PYTHON_IMAGE} AS base
ENV PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PATH=/opt/mloscope/bin:$PATH
# A new volume takes over owner and mode of the folder that it is mounted on.
RUN useradd --system --uid 10001 --home-dir /nowhere --shell /usr/sbin/nologin mloscope \
    && mkdir --parents /cache /users /runs /corpora \
    && chown mloscope /cache /users \
    && chmod 700 /users \
    && python -m venv /opt/mloscope

# What both need, before our own code, so that a change of ours fetches nothing again.
FROM base AS dependencies
WORKDIR /source
COPY pyproject.toml constraints.txt ./
RUN python -c "import tomllib; project = tomllib.load(open('pyproject.toml', 'rb'))['project']; \
print(*project['dependencies'], *project['optional-dependencies']['jobs'], sep='\n')" > wanted.txt \
    && pip install --constraint constraints.txt --requirement wanted.txt

FROM dependencies AS web-build
COPY README.md LICENSE ./
COPY adaptors adaptors
COPY app app
COPY assets assets
COPY components components
RUN pip install --no-deps .

FROM base AS web
COPY --from=web-build /opt/mloscope /opt/mloscope
WORKDIR /
USER mloscope
EXPOSE 8050
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8050/healthz', timeout=4)"]
CMD ["mloscope", "serve", "--host", "0.0.0.0", "--no-browser"]

FROM dependencies AS model-service-build
# cpu or gpu: which TensorFlow.
ARG EVALUATE=cpu
RUN if [ "$EVALUATE" = gpu ]; then wanted='tensorflow[and-cuda]'; else wanted=tensorflow-cpu; fi \
    && pip install --constraint constraints.txt "$wanted"
COPY README.md LICENSE ./
COPY adaptors adaptors
COPY app app
COPY assets assets
COPY components components
RUN pip install --no-deps .

FROM base AS model-service
COPY --from=model-service-build /opt/mloscope /opt/mloscope
WORKDIR /
USER mloscope
EXPOSE 8060
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8060/healthz', timeout=4)"]
CMD ["python", "-m", "mloscope.app.model_service.server", "--host", "0.0.0.0"]
