import shardtape.backend  # noqa: F401 - first of all: it prepares the process before numpy loads
