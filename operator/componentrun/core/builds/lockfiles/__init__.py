"""Whether a lock file fits its project. Pure.

uv refuses one that does not only if it may ask the package index that the lock file names, which a platform may have
replaced by a mirror; and npm does not say why in the last lines that it prints.

Modules:

    npm  `package-lock.json` and `package.json`
    uv   `uv.lock` and `pyproject.toml`
"""
