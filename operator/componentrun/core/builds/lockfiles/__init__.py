"""Whether a lock file fits its project. Pure.

npm refuses one that does not. uv does so only if it may ask the package index that the lock file names, which a
platform may have replaced by a mirror.

Modules:

    uv  `uv.lock` and `pyproject.toml`
"""
