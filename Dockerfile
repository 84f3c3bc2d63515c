# The server, for any machine with Docker; docs/deploy.md tells how it is run.
#   docker build -t prompttune .
#   docker build -t prompttune --build-arg TORCH_INDEX=URL .    PyTorch's index of CPU or CUDA builds
ARG PYTHON=3.12
FROM python:${PYTHON}-slim-bookworm AS build
ARG TORCH_INDEX=""
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY prompttune prompttune
COPY recipes recipes
COPY prompts_zoo prompts_zoo
# PyTorch comes alone, so that the rest does not ask its index.
RUN python -m venv /opt/prompttune \
    && /opt/prompttune/bin/pip install -c constraints.txt ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} "torch>=2.11" \
    && /opt/prompttune/bin/pip install -c constraints.txt ".[serve,hub]"

FROM python:${PYTHON}-slim-bookworm
LABEL org.opencontainers.image.title="prompttune" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/prompttune /opt/prompttune
# Keys and what is fetched from the Hub lie in the volume, which the user of the server may write.
ENV PATH=/opt/prompttune/bin:$PATH PYTHONUNBUFFERED=1 PROMPTTUNE_HOME=/data HF_HOME=/data/hub
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin prompttune \
    && install --directory --owner=10001 --group=10001 /data/prompts_zoo
VOLUME /data
USER 10001
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/health', timeout=4)"]
ENTRYPOINT ["prompttune"]
CMD ["serve", "--host", "0.0.0.0", "--port", "8000", "--token_file", "/run/secrets/prompttune-token"]
