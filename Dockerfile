# mmgraph with PyTorch for CPUs, FAISS, the web service and its thumbnails; see
# docs/deployment.md.
FROM python:3.12-slim
ENV PIP_NO_CACHE_DIR=1 PYTHONUNBUFFERED=1 OMP_WAIT_POLICY=PASSIVE
WORKDIR /src
COPY setup.cfg pyproject.toml constraints.txt README.md LICENSE ./
COPY mmgraph mmgraph
RUN pip install '.[cpu,serve]' pillow -c constraints.txt \
        --extra-index-url https://download.pytorch.org/whl/cpu \
    && useradd --create-home --uid 1000 mmgraph \
    && mkdir /data && chown mmgraph /data
USER mmgraph
WORKDIR /data
EXPOSE 8000
HEALTHCHECK CMD python -c "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/health', timeout=3)"
ENTRYPOINT ["mmgraph"]
CMD ["--help"]
