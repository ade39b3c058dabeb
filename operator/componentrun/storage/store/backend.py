"""Makes obstore's client of a bucket from a Storage's settings, and from nothing else that this process knows."""

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
    """The client of a Storage's bucket. Nothing is sent yet.

    Args:
        settings: which Storage.
        timeouts: how long to wait for the store.
        bulk: whether it deletes many objects by one request.

    Raises:
        UserError: (InvalidSpec) a setting is malformed, such as a CA bundle that is no PEM.
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
    # Options that AWS_ variables of this process would set otherwise are given here, whatever their default.
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
            f"no client can be made for {settings.title} ({settings.where()}): {str(error).partition(chr(10))[0]}. "
            "Check its endpoint, region and CA bundle",
            Reason.INVALID_SPEC,
        ) from None


class _StaticCredentials:
    """Hands out fixed keys. Given as a provider so that no AWS_ variable of this process mixes in."""

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
