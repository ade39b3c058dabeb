"""What the agents may do, as URLs and forms that are good for exactly that. The only module that signs.

Signing sends nothing: it is computed from the keys, the region and the time. Only where the Storage has no keys of its
own and the identity of the machine or service account is used, `Signer.refresh` fetches temporary keys first.
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
from componentrun.wire.agents import PostPolicy, SessionKeys
from componentrun.wire.signatures import AccessKeys

if TYPE_CHECKING:
    from minio.credentials.credentials import Credentials

    from componentrun.storage.store.settings import StoreSettings

__all__ = ["MAX_EXPIRY", "MAX_POST_BYTES", "KeySource", "Signer", "make_client"]

MAX_EXPIRY: Final = timedelta(days=7)
"""S3 accepts no signature for longer."""
MAX_POST_BYTES: Final = 5 * 1024**3
"""S3 stores no larger object by one request."""
_RETRIES: Final = 4
_ANSWERED: Final = re.compile(r"HTTP status code (\d{3})")
_RENEW_BEFORE: Final = timedelta(minutes=10)
_PROVIDER_ERRORS: Final = (ValueError, KeyError, OSError, HTTPError, MinioException)
"""What a provider raises is what its way to the keys raised: a missing file, a service that is away, an odd answer."""


class Signer:
    """Signs for one Storage; made once for it. Its repr shows no key."""

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
        """When everything signed now ends at the latest, because the keys do; None: the keys don't end."""
        ends = self._keys.current.expiration if self._keys.current is not None else None
        return ends.replace(tzinfo=UTC) if ends is not None else None

    async def refresh(self) -> None:
        """Fetch temporary keys, where the identity of the machine is used and what is there ends soon.

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
        """A URL that reads this object (or this version of it) and nothing else, until `expires` from now.

        Raises:
            PlatformError: (Internal) `expires` is not within a second and 7 days, or `refresh` was not called.
        """
        self._check_expiry(expires)
        bucket = self._settings.bucket
        return str(self._client.presigned_get_object(bucket, key, expires=expires, version_id=version))

    def sign_location(self, location: str, expires: timedelta) -> str:
        """A URL that reads the object at `s3://bucket/key` and nothing else, until `expires` from now.

        The bucket may be another one of the same store: that of a catalog's warehouse.

        Raises:
            PlatformError: (Internal) see `sign_get`; (PublishFailed) the location is of another kind.
        """
        self._check_expiry(expires)
        bucket, key = split_location(location)
        return str(self._client.presigned_get_object(bucket, key, expires=expires))

    def post_policy(self, prefix: str, max_bytes: int, expires: timedelta) -> PostPolicy:
        """A form that stores objects below `prefix` and does nothing else, until `expires` from now.

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
        """Temporary keys that do what the form of `post_policy` does, for stores whose forms do not hold.

        The size is not held by the store: its policies know none.

        Raises:
            PlatformError: (StorageAccessDenied) the token service refused, or gives keys for a shorter time only.
            TransientError: (StorageUnavailable) it is away.
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
                f"the token service {settings.sts_endpoint} of {settings.title} gave no keys for "
                f"{int(expires.total_seconds())} s ({_said(error)}). Check its `sts`, the rights of its keys, "
                "and how long the role's keys may be good for",
                Reason.STORAGE_ACCESS_DENIED,
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
        """The keys as they are now; temporary ones are fetched again before they end. Blocks.

        Raises:
            PlatformError: (StorageAccessDenied) there is no such identity.
        """
        try:
            found = self._source.retrieve()
        except _PROVIDER_ERRORS as error:
            raise _no_identity(self._settings, error) from None
        return AccessKeys(found.access_key, found.secret_key, found.session_token)


def _no_identity(settings: StoreSettings, error: Exception) -> PlatformError:
    return PlatformError(
        f"{settings.title} names no keys, and this machine or service account has no identity "
        f"that the store would know ({type(error).__name__}). Give the Storage a Secret with keys, or the "
        "operator's service account a role",
        Reason.STORAGE_ACCESS_DENIED,
    )


class _Keys(Provider):
    """Keys as they were fetched last, so that signing never sends anything."""

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
    """What a provider raises may quote the request; only the status that was answered is told."""
    answered = _ANSWERED.search(str(error))
    return f"it answered HTTP {answered[1]}" if answered else type(error).__name__


def make_client(settings: StoreSettings, timeouts: StoreTimeouts | None = None) -> Minio:
    """A client that sends requests, for what obstore can't do."""
    return _client(settings, _provider(settings), _pool(settings, timeouts))


def _pool(settings: StoreSettings, timeouts: StoreTimeouts | None) -> PoolManager:
    context = ssl.create_default_context()
    if settings.ca_bundle is not None:
        context.load_verify_locations(cadata=settings.ca_bundle)
    # A request that got no answer in the time that was given for it is not repeated: each repeat would take as long.
    unanswered = None if timeouts is None else 0
    repeats = Retry(_RETRIES, connect=unanswered, read=unanswered, backoff_factor=0.2)
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
