"""What the operator is told: environment variables, read once, all wrong ones reported together."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Final

from componentrun.api.common import quantity_value
from componentrun.controller.lease import DEFAULT_SECONDS, LeaseSettings
from componentrun.controller.reconcile.unreadpods import DEFAULT_MOST
from componentrun.core.lease.holder import HolderPod
from componentrun.core.lifecycle.observed import Limits
from componentrun.core.pod.networkpolicy import IPV4_ONLY
from componentrun.core.pod.settings import PodSettings
from componentrun.process.settings import DNS_LABEL, ProcessSettings, Reader, read_process, seconds, whole, words
from componentrun.storage.store.settings import StoreTimeouts
from componentrun.wire import loaderaccess

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["LoaderSettings", "Settings", "from_environment"]

_MAX_WORKERS: Final = 512
_MAX_RUNNING: Final = 100_000
_MAX_UPLOAD_SECONDS: Final = 24 * 3600
_MAX_LIMIT_SECONDS: Final = 7 * 24 * 3600

_MAX_STORE_SECONDS: Final = 600
_HTTPS: Final = re.compile(r"https://[^/\s@]+/?")
OPERATOR_TIMEOUTS: Final = StoreTimeouts(connect=3.0, response=10.0, request=60.0)
"""The operator reads and writes small objects only: a store that needs longer for one does not respond."""
_WHOLE_REQUEST: Final = 6
"""Times the response timeout is what a whole request may take: a plan of some MiB arrives in pieces."""


@dataclass(frozen=True, slots=True)
class LoaderSettings:
    """How the loader is reached."""

    url: str
    """Without a path: `https://componentrun-loader.componentrun-system.svc:8443`."""
    token_file: str = loaderaccess.TOKEN_FILE
    authority_file: str = loaderaccess.AUTHORITY_FILE
    """Who signs its certificate."""
    load_seconds: float = 1800
    """How long a load may take, with the time that it waits for its turn."""
    answer_seconds: float = 120
    """The same for all other requests."""


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of the operator."""

    agent_image: str
    """Image of stage-in and stage-out, with tag or digest."""
    process: ProcessSettings = field(default_factory=ProcessSettings)
    """What every process is told."""
    name: str = ""
    """Only runs whose label `componentrun.dev/operator` says so are this operator's; empty: those without the label."""
    lease: LeaseSettings | None = None
    """The Lease that says which of several operators works; None: this one is alone."""
    limits: Limits = field(default_factory=Limits)
    """How long to wait for what."""
    dns_cidrs: tuple[str, ...] = ()
    """Where pods may send DNS queries to besides the cluster's own DNS pods (node-local caches)."""
    ip_versions: frozenset[int] = IPV4_ONLY
    """IP versions of the cluster's pods, read off the addresses of the operator's own pod."""
    pod: PodSettings = field(default_factory=PodSettings)
    """What holds for every pod."""
    max_running: int | None = None
    """How many runs of a namespace may have a pod at a time where its Storage says nothing; None: no limit."""
    unread_pods: int = DEFAULT_MOST
    """How many pods that have ended a node keeps for the collector to read their last lines."""
    workers: int = 64
    """Runs that are worked on at the same time; each one mostly waits for the API server. Half of them are one
    namespace's at most. A Storage has half as many slots, besides, for what waits for its store."""
    store_timeouts: StoreTimeouts = OPERATOR_TIMEOUTS
    """How long to wait for an object store."""
    resync_seconds: float = 300
    """Full resync interval, to recover from missed watch events."""
    loader: LoaderSettings | None = None
    """What reads and writes the tables of catalogs; None: it is not installed."""


def from_environment(environment: Mapping[str, str]) -> Settings:
    """Read the settings.

    Raises:
        SettingsError: variables are missing or wrong; each is named with its value and what was expected.
    """
    reader = Reader(environment, "operator")
    agent_image, process = reader.read("AGENT_IMAGE", _image, None), read_process(reader)
    settings = Settings(
        agent_image=agent_image,
        process=process,
        name=reader.read("OPERATOR_NAME", _name, ""),
        lease=_lease(reader),
        limits=_limits(reader),
        pod=_pod(reader),
        dns_cidrs=reader.read("DNS_CIDRS", _cidrs, ()),
        ip_versions=frozenset(process.ip_versions),
        max_running=reader.read("MAX_RUNNING", whole(0, _MAX_RUNNING), 0) or None,
        unread_pods=reader.read("UNREAD_PODS", whole(0, _MAX_RUNNING), DEFAULT_MOST),
        workers=reader.read("WORKERS", whole(1, _MAX_WORKERS), 64),
        store_timeouts=_store_timeouts(reader),
        resync_seconds=reader.read("RESYNC_SECONDS", seconds(1, _MAX_LIMIT_SECONDS), 300.0),
        loader=_loader(reader),
    )
    reader.check()
    return settings


def _limits(reader: Reader) -> Limits:
    """Every field of `Limits` has a variable: `pending` is COMPONENTRUN_PENDING_SECONDS."""
    values = {
        item.name: reader.read(f"{item.name.upper()}_SECONDS", seconds(0, _MAX_LIMIT_SECONDS), float(item.default))
        for item in fields(Limits)
        if isinstance(item.default, int | float)
    }
    return Limits(**values)


def _lease(reader: Reader) -> LeaseSettings | None:
    """A Lease where COMPONENTRUN_LEASE names one, as `namespace/name`; the pod of this process is in that namespace."""
    namespace, _, name = reader.read("LEASE", _namespace_and_name, "").partition("/")
    duration = reader.read("LEASE_SECONDS", seconds(6, 600), DEFAULT_SECONDS)
    pod_name, pod_uid = (reader.read(variable, _pod_part, "") for variable in ("POD_NAME", "POD_UID"))
    pod = HolderPod(pod_name, pod_uid) if pod_name and pod_uid else None
    return LeaseSettings(namespace, name, duration, pod) if name else None


def _store_timeouts(reader: Reader) -> StoreTimeouts:
    default = OPERATOR_TIMEOUTS
    response = reader.read("STORE_RESPONSE_SECONDS", seconds(1, _MAX_STORE_SECONDS), default.response)
    connect = reader.read("STORE_CONNECT_SECONDS", seconds(1, _MAX_STORE_SECONDS), default.connect)
    return StoreTimeouts(connect, response, _WHOLE_REQUEST * response)


def _loader(reader: Reader) -> LoaderSettings | None:
    """The loader that COMPONENTRUN_LOADER_URL names."""
    url = reader.read("LOADER_URL", _https, "")
    default = LoaderSettings(url)
    chosen = LoaderSettings(
        url,
        token_file=reader.read("LOADER_TOKEN_FILE", str, default.token_file),
        authority_file=reader.read("LOADER_CA_FILE", str, default.authority_file),
        load_seconds=reader.read("LOADER_LOAD_SECONDS", seconds(1, _MAX_UPLOAD_SECONDS), default.load_seconds),
        answer_seconds=reader.read("LOADER_ANSWER_SECONDS", seconds(1, _MAX_STORE_SECONDS), default.answer_seconds),
    )
    return chosen if url else None


def _pod(reader: Reader) -> PodSettings:
    default = PodSettings()
    return PodSettings(
        upload_seconds=int(reader.read("UPLOAD_SECONDS", seconds(2, _MAX_UPLOAD_SECONDS), 600.0)),
        stage_in_seconds=int(reader.read("STAGE_IN_SECONDS", seconds(1, _MAX_LIMIT_SECONDS), 3600.0)),
        agent_cpu_request=reader.read("AGENT_CPU_REQUEST", _quantity, default.agent_cpu_request),
        agent_memory_request=reader.read("AGENT_MEMORY_REQUEST", _quantity, default.agent_memory_request),
        agent_memory_limit=reader.read("AGENT_MEMORY_LIMIT", _quantity, default.agent_memory_limit),
        stack_id=reader.read("STACK_ID", _image, default.stack_id),
        agent_pull_secrets=reader.read("AGENT_PULL_SECRETS", words, ()),
    )


def _image(text: str) -> str:
    if any(character.isspace() for character in text):
        raise ValueError("an image reference such as `registry.example.com/componentrun/agent:0.1.0`")
    return text


def _https(text: str) -> str:
    if _HTTPS.fullmatch(text) is None:
        raise ValueError("a URL without a path such as `https://componentrun-loader.componentrun-system.svc:8443`")
    return text.rstrip("/")


def _quantity(text: str) -> str:
    quantity_value(text)
    return text


def _name(text: str) -> str:
    if not DNS_LABEL.fullmatch(text):
        raise ValueError("a label value of lower case letters, digits and `-`, such as `canary`")
    return text


def _pod_part(text: str) -> str:
    if "_" in text or any(character.isspace() for character in text):
        raise ValueError("the name or the uid of the process's own pod")
    return text


def _namespace_and_name(text: str) -> str:
    parts = text.split("/")
    if len(parts) != 2 or not all(DNS_LABEL.fullmatch(part) for part in parts):  # noqa: PLR2004 - namespace, name
        raise ValueError("the Lease as `namespace/name`")
    return text


def _cidrs(text: str) -> tuple[str, ...]:
    try:
        return tuple(str(ipaddress.ip_network(word)) for word in words(text))
    except ValueError as error:
        raise ValueError(f"address blocks such as `169.254.20.10/32` separated by commas ({error})") from error
