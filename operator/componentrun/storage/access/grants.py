"""Signed URLs and forms that allow the agents exactly what they may do. The only module that signs.

Signing sends no requests: it is computed from the keys, the region and the time. Only if the Storage has no keys of its
own, `Signer.refresh` first fetches temporary keys for the identity of the machine or service account.
"""

from __future__ import annotations

import asyncio
import json
import math
import re
import ssl
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from minio import Minio
from minio.credentials.providers import (
    AssumeRoleProvider,
    ChainedProvider,
    EnvAWSProvider,
    IamAwsProvider,
    Provider,
    StaticProvider,
)
from minio.datatypes import PostPolicy as MinioPolicy
from minio.error import MinioException
from urllib3 import PoolManager, Retry, Timeout
from urllib3.exceptions import HTTPError

from componentrun.errors import PlatformError, Reason
from componentrun.storage.store.errors import NoAnswerError
from componentrun.storage.store.locations import split_location
from componentrun.storage.store.settings import StoreTimeouts
from componentrun.wire.grants import PostPolicy, SessionKeys
from componentrun.wire.signatures import AccessKeys

if TYPE_CHECKING:
    from minio.credentials.credentials import Credentials

    from componentrun.storage.store.settings import StoreSettings

__all__ = ["MAX_EXPIRY", "MAX_POST_BYTES", "KeySource", "Signer", "make_client"]

MAX_EXPIRY: Final = timedelta(days=7)
"""Maximum lifetime of a signature in S3."""
MAX_POST_BYTES: Final = 5 * 1024**3
"""Maximum size of an object that S3 stores with one request."""
_RETRIES: Final = 4
_ANSWERED: Final = re.compile(r"HTTP status code (\d{3})")
_RENEW_BEFORE: Final = timedelta(minutes=10)
_PROVIDER_ERRORS: Final = (ValueError, KeyError, OSError, HTTPError, MinioException)
"""Exceptions of a key provider: a missing file, a service that does not respond, an unexpected response."""


class Signer:
    """Signs for one Storage. Its repr shows no key."""

    def __init__(self, settings: StoreSettings, timeouts: StoreTimeouts | None = None) -> None:
        """Nothing is sent yet; the timeouts are those of requests to a token service."""
        self._settings = settings
        self._timeouts = timeouts
        self._source = _provider(settings)
        self._keys = _Keys()
        if settings.access_key is not None:
            self._keys.current = self._source.retrieve()
        self._client = _client(settings, self._keys)

    def __repr__(self) -> str:
        """Which Storage; no keys."""
        return f"Signer({self._settings!r})"

    @property
    def title(self) -> str:
        """The Storage, as messages call it."""
        return self._settings.title

    @property
    def valid_until(self) -> datetime | None:
        """When the keys expire, and with them everything that was signed; None: never."""
        ends = self._keys.current.expiration if self._keys.current is not None else None
        return ends.replace(tzinfo=UTC) if ends is not None else None

    async def refresh(self) -> None:
        """Fetch temporary keys if the identity of the machine is used and the current keys expire soon.

        Raises:
            PlatformError: (StorageAccessDenied) there is no such identity.
        """
        ends = self.valid_until
        if self._keys.current is not None and (ends is None or ends - datetime.now(UTC) > _RENEW_BEFORE):
            return
        try:
            self._keys.current = await asyncio.to_thread(self._source.retrieve)
        except _PROVIDER_ERRORS as error:
            raise _no_identity(self._settings, error) from None

    def sign_get(self, key: str, expires: timedelta, version: str | None = None) -> str:
        """Return a URL that reads only this object (or this version of it), valid for `expires`.

        Raises:
            PlatformError: (Internal) `expires` is not within a second and 7 days, or `refresh` was not called.
        """
        self._check_expiry(expires)
        bucket = self._settings.bucket
        return str(self._client.presigned_get_object(bucket, key, expires=expires, version_id=version))

    def sign_location(self, location: str, expires: timedelta) -> str:
        """Return a URL that reads only the object at `s3://bucket/key`, valid for `expires`.

        The bucket may be another one of the same store, such as that of a catalog's warehouse.

        Raises:
            PlatformError: (Internal) see `sign_get`; (PublishFailed) the location is of another kind.
        """
        self._check_expiry(expires)
        bucket, key = split_location(location)
        return str(self._client.presigned_get_object(bucket, key, expires=expires))

    def post_policy(self, prefix: str, max_bytes: int, expires: timedelta) -> PostPolicy:
        """Return a form that only stores objects below `prefix`, valid for `expires`.

        Args:
            prefix: full key prefix with a slash at its end.
            max_bytes: size of the largest object; at most 5 GiB.
            expires: at most 7 days.

        Raises:
            PlatformError: (Internal) an argument is out of its bounds, or `refresh` was not called.
        """
        self._check_expiry(expires)
        if not prefix.endswith("/"):
            raise PlatformError(
                f"a grant for `{prefix}` would hold for its neighbours, too: expected a slash at its end"
            )
        if max_bytes < 1:
            raise PlatformError(f"a grant for objects of up to {max_bytes} bytes: expected at least 1")
        largest = min(max_bytes, MAX_POST_BYTES)
        policy = MinioPolicy(self._settings.bucket, datetime.now(UTC) + expires)
        policy.add_starts_with_condition("key", prefix)
        policy.add_content_length_range_condition(0, largest)
        fields = self._client.presigned_post_policy(policy)
        return PostPolicy(url=self._settings.bucket_url, fields=dict(fields), key_prefix=prefix, max_bytes=largest)

    async def session(self, prefix: str, max_bytes: int, expires: timedelta) -> PostPolicy:
        """Return temporary keys with the permissions of `post_policy`, for stores that do not enforce forms.

        The store does not limit the size of objects, because its policies can't.

        Raises:
            PlatformError: (StorageAccessDenied) the token service refused, or issues keys for a shorter time only.
            TransientError: (StorageUnavailable) it does not respond.
        """
        self._check_expiry(expires)
        settings = self._settings
        if settings.sts_endpoint is None or settings.access_key is None or settings.secret_key is None:
            raise PlatformError(f"{settings.title} names no token service, or no keys to ask it with")
        resource = f"arn:aws:s3:::{settings.bucket}/{prefix}*"
        statement = {"Effect": "Allow", "Action": ["s3:PutObject"], "Resource": [resource]}
        role = AssumeRoleProvider(
            sts_endpoint=settings.sts_endpoint,
            access_key=settings.access_key,
            secret_key=settings.secret_key,
            duration_seconds=math.ceil(expires.total_seconds()),
            policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}, separators=(",", ":")),
            region=settings.region,
            role_arn=settings.sts_role,
            role_session_name="componentrun",
            http_client=_pool(settings, self._timeouts),
        )
        try:
            keys = await asyncio.to_thread(role.retrieve)
        except HTTPError as error:
            raise NoAnswerError(
                f"the token service {settings.sts_endpoint} of {settings.title} does not answer "
                f"({type(error).__name__})",
                f"the token service {settings.sts_endpoint}: {type(error).__name__}",
            ) from None
        except _PROVIDER_ERRORS as error:
            raise PlatformError(
                f"the token service {settings.sts_endpoint} of {settings.title} issued no keys for "
                f"{int(expires.total_seconds())} s ({_said(error)})",
                Reason.STORAGE_ACCESS_DENIED,
                advice=(
                    "Check `sts` of the Storage, the permissions of its keys, and the maximum session duration "
                    "of the role."
                ),
            ) from None
        session = SessionKeys(
            settings.bucket_url, settings.region, keys.access_key, keys.secret_key, keys.session_token or ""
        )
        return PostPolicy(self._settings.bucket_url, {}, prefix, min(max_bytes, MAX_POST_BYTES), session)

    def _check_expiry(self, expires: timedelta) -> None:
        if not timedelta(seconds=1) <= expires <= MAX_EXPIRY:
            raise PlatformError(f"a grant for {expires}: expected between a second and 7 days")


class KeySource:
    """The keys of a Storage, or, if it has none, those of the identity of this machine or service account."""

    def __init__(self, settings: StoreSettings) -> None:
        """Nothing is sent yet."""
        self._settings = settings
        self._source = _provider(settings)

    def keys(self) -> AccessKeys:
        """Return the current keys; temporary keys are fetched again before they expire. Blocks.

        Raises:
            PlatformError: (StorageAccessDenied) there is no such identity.
        """
        try:
            credentials = self._source.retrieve()
        except _PROVIDER_ERRORS as error:
            raise _no_identity(self._settings, error) from None
        return AccessKeys(credentials.access_key, credentials.secret_key, credentials.session_token)


def _no_identity(settings: StoreSettings, error: Exception) -> PlatformError:
    return PlatformError(
        f"{settings.title} names no keys, and this machine or service account has no identity for the "
        f"store ({type(error).__name__})",
        Reason.STORAGE_ACCESS_DENIED,
        advice="Set a Secret with keys in the Storage, or give the operator's service account a role.",
    )


class _Keys(Provider):
    """The keys that were fetched last, so that signing sends no requests."""

    def __init__(self) -> None:
        self.current: Credentials | None = None

    def retrieve(self) -> Credentials:
        """The keys.

        Raises:
            PlatformError: (Internal) none were fetched yet.
        """
        if self.current is None:
            raise PlatformError("there are no keys to sign with yet: `Signer.refresh` comes first")
        return self.current


def _said(error: Exception) -> str:
    """Describe an error of a provider by its HTTP status only, because its text may quote the request."""
    answered = _ANSWERED.search(str(error))
    return f"it answered HTTP {answered[1]}" if answered else type(error).__name__


def make_client(settings: StoreSettings, timeouts: StoreTimeouts | None = None) -> Minio:
    """Return a client that sends requests, for operations that obstore does not support."""
    return _client(settings, _provider(settings), _pool(settings, timeouts))


def _pool(settings: StoreSettings, timeouts: StoreTimeouts | None) -> PoolManager:
    context = ssl.create_default_context()
    if settings.ca_bundle is not None:
        context.load_verify_locations(cadata=settings.ca_bundle)
    # A request that timed out is not repeated, because each repeat would take as long.
    retries = None if timeouts is None else 0
    repeats = Retry(_RETRIES, connect=retries, read=retries, backoff_factor=0.2)
    wait = timeouts or StoreTimeouts()
    return PoolManager(timeout=Timeout(wait.connect, wait.response), ssl_context=context, retries=repeats)


def _client(settings: StoreSettings, keys: Provider, pool: PoolManager | None = None) -> Minio:
    client = Minio(
        settings.base_url.partition("://")[2],
        secure=settings.secure,
        region=settings.region,
        credentials=keys,
        http_client=pool,
    )
    client.disable_virtual_style_endpoint()  # type: ignore[no-untyped-call]  # minio has no types
    return client


def _provider(settings: StoreSettings) -> Provider:
    if settings.access_key is not None and settings.secret_key is not None:
        return StaticProvider(settings.access_key, settings.secret_key, settings.session_token)
    return ChainedProvider([EnvAWSProvider(), IamAwsProvider()])
