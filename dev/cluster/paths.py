"""Paths on this machine. Everything is below one folder in the user's home."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HOME_VARIABLE = "COMPONENTRUN_HOME"


def home() -> Path:
    """The folder for all state: COMPONENTRUN_HOME, or ~/.cache/componentrun by default."""
    return Path(os.environ.get(HOME_VARIABLE) or Path.home() / ".cache" / "componentrun").absolute()


def builds() -> Path:
    """Finished builds, one folder for each tool and cache key."""
    return home() / "bin"


def links() -> Path:
    """Links to the binaries of the current pins. This folder is put on PATH."""
    return home() / "links"


def cluster() -> Path:
    """State of our own cluster."""
    return home() / "cluster"


def store() -> Path:
    """State of the local MinIO, which is started by tests that use several stores."""
    return home() / "store"


def lake() -> Path:
    """State of the local SeaweedFS (store and catalog), which also runs without a cluster."""
    return home() / "lake"


def stranger() -> Path:
    """Information about a cluster that somebody else runs."""
    return home() / "stranger"


def logs() -> Path:
    """One log file for each part. `down` keeps them, so that a failed start can be investigated."""
    return home() / "logs"


def own_kubeconfig() -> Path:
    """The administrator's kubeconfig of our own cluster."""
    return cluster() / "kubeconfig"


def make_private(folder: Path) -> Path:
    """Create `folder`, accessible to its owner only, and return it."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


def write_private(file: Path, text: str) -> None:
    """Write `file` atomically with mode 0600."""
    make_private(file.parent)
    part = file.with_name(f".{file.name}.{os.getpid()}")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
        stream.write(text)
    part.replace(file)


@contextmanager
def lock(name: str) -> Iterator[None]:
    """Hold a lock against other processes, so that two `up` commands run one after the other."""
    make_private(home())
    with (home() / f".{name}.lock").open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"another process holds the lock '{name}': waiting for it", flush=True)
            fcntl.flock(stream, fcntl.LOCK_EX)
        yield
