"""Creates obstore's client of a bucket from a Storage's settings only, ignoring the environment."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from obstore.store import S3Store

from componentrun.errors import Reason, UserError
from componentrun.storage.store.errors import STORE_EXCEPTIONS

if TYPE_CHECKING:
    from obstore.store import ClientConfig, S3Config, S3Credential

    from componentrun.storage.store.settings import StoreSettings, StoreTimeouts

__all__ = ["make_backend"]

_MAX_RETRIES: Final = 4
_RETRY_BUDGET: Final = 20.0
"""Seconds after which no retry starts: above the client library, the reconciler tries again on its own clock. A request
that got no answer within the response timeout is never repeated."""


def make_backend(settings: StoreSettings, timeouts: StoreTimeouts, *, bulk: bool = False) -> S3Store:
    """Create the client of a Storage's bucket. Sends no requests.

    Args:
        settings: which Storage.
        timeouts: how long to wait for the store.
        bulk: whether it deletes many objects with one request.

    Raises:
        UserError: (InvalidSpec) a setting is malformed, such as a CA bundle that is not PEM.
    """
    client: ClientConfig = {
        "allow_http": not settings.secure,
        "connect_timeout": timedelta(seconds=timeouts.connect),
        "read_timeout": timedelta(seconds=timeouts.response),
        "timeout": timedelta(seconds=timeouts.request),
        "user_agent": "componentrun",
    }
    if settings.ca_bundle is not None:
        client["root_certificate"] = settings.ca_bundle
    # Every option that AWS_ variables of this process could set is set here, even to its default.
    config: S3Config = {
        "aws_endpoint_url_s3": settings.base_url,
        "endpoint": settings.base_url,
        "region": settings.region,
        "virtual_hosted_style_request": False,
        "conditional_put": "etag",
        "skip_signature": False,
        "s3_express": False,
        "disable_bulk_delete": not bulk,
    }
    try:
        return S3Store(
            settings.bucket,
            config=config,
            client_options=client,
            retry_config={
                "max_retries": _MAX_RETRIES,
                "retry_timeout": timedelta(seconds=min(_RETRY_BUDGET, timeouts.response)),
            },
            credential_provider=_static_credentials(settings),
        )
    except STORE_EXCEPTIONS as error:
        raise UserError(
            f"no client can be created for {settings.title} ({settings.where()}): {str(error).partition(chr(10))[0]}",
            Reason.INVALID_SPEC,
            advice="Check its endpoint, region and CA bundle.",
        ) from None


class _StaticCredentials:
    """Provides fixed keys. A provider, so that AWS_ variables of this process have no effect."""

    def __init__(self, credential: S3Credential) -> None:
        self._credential = credential

    def __call__(self) -> S3Credential:
        return self._credential


def _static_credentials(settings: StoreSettings) -> _StaticCredentials | None:
    if settings.access_key is None or settings.secret_key is None:
        return None
    return _StaticCredentials(
        {
            "access_key_id": settings.access_key,
            "secret_access_key": settings.secret_key,
            "token": settings.session_token,
            "expires_at": None,
        }
    )
