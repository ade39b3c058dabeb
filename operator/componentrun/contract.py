"""The interface between ComponentRun and a component: paths, variables and exit codes.

The rules come from "How we use Docker" (2016) and the common interface that grew out of it; docs/contract.md is the
page for component developers. This module holds names only: one place for each fact.
"""

from __future__ import annotations

from typing import Final

# The data folder, as the component sees it.
DATA_DIR: Final = "/data"
CONFIG_FILE: Final = "config.json"
IN_TABLES: Final = "in/tables"
IN_FILES: Final = "in/files"
IN_STATE: Final = "in/state.json"
IN_ARTIFACTS: Final = "artifacts/in"
OUT_TABLES: Final = "out/tables"
OUT_FILES: Final = "out/files"
OUT_STATE: Final = "out/state.json"
OUT_RESULT: Final = "out/result.json"
OUT_USAGE: Final = "out/usage.json"
OUT_ARTIFACTS: Final = ("artifacts/out/current", "artifacts/out/shared")
MANIFEST_SUFFIX: Final = ".manifest"
MANIFEST_TIME: Final = "%Y-%m-%dT%H:%M:%S%z"
"""How manifests of what is read write times."""

# What the component's environment says about its run. KBC_ names for components written years ago; each has a twin
# that starts with COMPONENTRUN_.
ENV_PREFIX: Final = "KBC_"
ENV_TWIN_PREFIX: Final = "COMPONENTRUN_"
ENV_DATA_DIR: Final = "DATADIR"
ENV_RUN_ID: Final = "RUNID"
ENV_PROJECT_ID: Final = "PROJECTID"
ENV_STACK_ID: Final = "STACKID"
ENV_CONFIG_ID: Final = "CONFIGID"
ENV_CONFIG_VERSION: Final = "CONFIGVERSION"
ENV_CONFIG_ROW_ID: Final = "CONFIGROWID"
ENV_COMPONENT_ID: Final = "COMPONENTID"
ENV_BRANCH_ID: Final = "BRANCHID"
ENV_STAGING_FILE_PROVIDER: Final = "STAGING_FILE_PROVIDER"
ENV_COMPONENT_RUN_MODE: Final = "COMPONENT_RUN_MODE"
ENV_DATA_TYPE_SUPPORT: Final = "DATA_TYPE_SUPPORT"
ENV_FEATURE_GATES: Final = "PROJECT_FEATURE_GATES"
ENV_TOKEN: Final = "TOKEN"  # noqa: S105 - the name of a variable
ENV_URL: Final = "URL"
ENV_LOGGER_ADDRESS: Final = "LOGGER_ADDR"
ENV_LOGGER_PORT: Final = "LOGGER_PORT"

# GELF: where a component finds the server, and how much of a message of each level is seen.
LOGGER_ADDRESS: Final = "127.0.0.1"
LOGGER_PORT: Final = 12_201
GELF_LEVELS: Final = {
    "emergency": 0, "alert": 1, "critical": 2, "error": 3, "warning": 4, "notice": 5, "info": 6, "debug": 7,
}  # fmt: skip
"""Names of the syslog levels (RFC 5424) that GELF uses."""
GELF_VISIBILITIES: Final = ("none", "camouflage", "normal", "verbose")
GELF_VISIBILITY: Final = {
    "debug": "none", "info": "normal", "notice": "normal", "warning": "normal", "error": "normal",
    "critical": "camouflage", "alert": "camouflage", "emergency": "camouflage",
}  # fmt: skip
"""How much is seen of each level where the Component says nothing."""

# Exit codes of a component.
EXIT_SUCCESS: Final = 0
EXIT_USER_ERROR: Final = 1
EXIT_APPLICATION_ERROR: Final = 2

# Limits and defaults.
DEFAULT_USER_ID: Final = 1000
DEFAULT_MEMORY: Final = "256Mi"
DEFAULT_CPU: Final = "1"
DEFAULT_TIMEOUT_SECONDS: Final = 3600
MAX_TIMEOUT_SECONDS: Final = 24 * 3600
RETRY_WINDOW_SECONDS: Final = 12 * 3600
"""No attempt begins later than this after the first one. With the longest timeout it must stay below the time for which
data of unfinished runs is kept (`storage.cleanup.sweep.MIN_KEEP`)."""

EVENTS_WAIT_SECONDS: Final = 900
"""How long a finished pod is kept for its last lines to be read; `operator.limits.eventsWait` in the chart changes it.

Then the operator deletes it. The collector gives up reading somewhat earlier; who follows a run waits no longer."""
DEFAULT_ACTION: Final = "run"
DEFAULT_BRANCH: Final = "default"
DEFAULT_TYPE_SUPPORT: Final = "none"
DEFAULT_DATA_SIZE: Final = "10Gi"
FILE_KEEP_DAYS: Final = 15
"""How long a file is kept that is not permanent."""
DEFAULT_FILE_LIMIT: Final = 100
"""Files that a choice by tags or by a pattern delivers where it does not say how many: the newest ones."""
MAX_PARAMETERS_TEXT: Final = 1_048_576
"""Characters of `configuration.parametersText`. etcd refuses requests of more than 1.5 MiB, and in the run's JSON each
quote of the text takes a second character."""
MAX_PARAMETERS_BYTES: Final = 4 * 2**20
"""Of parameters from a ConfigMap, decompressed."""
MAX_COLUMNS: Final = 50_000
"""Of a table, and of every list of its columns. The operator keeps each as an object while it publishes: a million take
more memory than it has."""
MAX_COLUMN_PATTERNS: Final = 100
"""Of a choice of columns: each is compared with every column."""
SECRET_KEY_PREFIX: Final = "#"  # noqa: S105 - a mark on keys, not a password
EVENT_MESSAGE_LIMIT: Final = 4_000
"""Characters of a message; a longer one is cut with a mark."""
EVENT_SIZE_LIMIT: Final = 200_000
"""Bytes of one event."""
