"""Texts that hold a secret whose form alone says so, and texts that only look as if. None of them is in use.

They are put together from parts, so that a program that searches repositories for secrets finds none here.
"""

from __future__ import annotations

import base64
import json
from typing import Final

LETTERS: Final = "aB3dE5fG7hJ9kL1mN2pQ4rS6tU8vW0xY"
"""Like a token's: 32 letters and digits."""
PEM_LINES: Final = tuple(
    f"{number:02}kqhkiG9w0BAQEFAASCBKgwggSkAgEAAoIBAQC+kqhkiG9w0BAQEFAASCBKg" for number in range(26)
)
PEM_LAST: Final = "Kd9x=="


def begin(kind: str = "") -> str:
    return f"-----BEGIN {kind}PRIVATE" + " KEY-----"


def end(kind: str = "") -> str:
    return f"-----END {kind}PRIVATE" + " KEY-----"


def part(document: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(document, separators=(",", ":")).encode()).decode().rstrip("=")


def token(header: object, *further: str) -> str:
    return ".".join([part(header), part({"sub": "1234567890", "admin": True}), LETTERS + "-_" + LETTERS, *further])


AWS_SECRET: Final = "wJalrXUtnFEMI/K7MDENG/bPxRfiCY" + "EXAMPLEKEY"
TRUE: Final = {
    "JWT": token({"alg": "HS256", "typ": "JWT"}),
    "JWT with a key id": token({"kid": "2026-01", "alg": "RS256"}),
    "JWE": token({"alg": "RSA-OAEP", "enc": "A256GCM"}, LETTERS, LETTERS),
    "AWS access key id": "AKIA" + "IOSFODNN7EXAMPLE",
    "AWS temporary access key id": "ASIA" + "IOSFODNN7EXAMPLE",
    "AWS session token": "IQoJ" + "b3JpZ2luX2Vj" + LETTERS * 4 + "==",
    "AWS older session token": "FwoG" + "ZXIvYXdz" + LETTERS * 4,
    "Google API key": "AIza" + "SyD-9tSrke72PouQMnMX-a7eZSW0jkFMBWY",
    "GitHub personal token": "ghp_" + LETTERS + "aB3d",
    "GitHub app token": "ghs_" + LETTERS + "aB3d",
    "GitHub fine-grained token": "github_pat_" + LETTERS[:22] + "_" + LETTERS + LETTERS[:27],
    "GitLab token": "glpat-" + LETTERS[:20],
    "GitLab deploy token": "gldt-" + LETTERS[:20],
    "Slack bot token": "xoxb-" + "123456789012-1234567890123-" + LETTERS[:24],
    "Slack app token": "xapp-" + "1-A012345-123456-" + LETTERS,
    "Stripe key": "sk_" + "live_" + LETTERS[:24],
    "Stripe restricted key": "rk_" + "live_" + LETTERS[:24],
    "npm token": "npm_" + LETTERS + "aB3d",
    "PyPI token": "pypi-" + "AgEIcHlwaS5vcmc" + LETTERS * 3,
    "Vault token": "hvs." + LETTERS[:24],
}
"""Each is hidden, whatever stands around it."""

BESIDE: Final = {
    "AWS secret in a file": ("aws_secret_access_key = {}", AWS_SECRET),
    "AWS secret in the environment": ("export AWS_SECRET_ACCESS_KEY={}", AWS_SECRET),
    "AWS secret in JSON": ('{{"SecretAccessKey": "{}"}}', AWS_SECRET),
    "AWS secret in JSON in JSON": ('{{\\"secretKey\\":\\"{}\\"}}', AWS_SECRET),
    "AWS secret in Ruby": ("'secret_key' => '{}'", AWS_SECRET),
    "Azure storage key": ("AccountName=x;AccountKey={};EndpointSuffix=y", LETTERS * 2 + LETTERS[:22] + "=="),
    "Azure bus key": ("Endpoint=sb://x/;SharedAccessKeyName=a;SharedAccessKey={}", LETTERS + LETTERS[:11] + "="),
    "Azure SAS": ("GET https://x.blob.core.windows.net/a/b?sv=2024&sig={}&sp=r", LETTERS + LETTERS[:11] + "%3D"),
    "password in a URL": ("connecting to postgres://loader:{}@db.example.com:5432/main", "s3cr3t-p4ss"),
    "password with an @": ("redis://:{}@cache:6379/0", "p@ssw0rd!"),
    "password in a URL in JSON": ('{{"url": "amqp:\\/\\/me:{}@mq\\/x"}}', "s3cr3t-p4ss"),
    "private key in JSON": ('"private_key": "' + begin() + "\\n{}\\n" + end() + '\\n"', "\\n".join(PEM_LINES)),
    "private key in lines": (begin("RSA ") + "\n{}\n" + end("RSA "), "\n".join(PEM_LINES)),
    "OpenSSH key": (begin("OPENSSH ") + "\n{}\n" + end("OPENSSH "), "\n".join(PEM_LINES)),
    "PGP key": (begin().replace("KEY-", "KEY BLOCK-") + "\n{}\n" + end().replace("KEY-", "KEY BLOCK-"), PEM_LINES[0]),
    "key without its begin": ("... {}\n" + end(), PEM_LINES[0]),
    "key without its end": (begin() + "\n{}", PEM_LINES[0]),
}
"""A text, and what in it is hidden: the rest of it stays."""

FALSE: Final = {
    "a token whose header is no JSON": "eyJhbGciOi.eyJzdWIiOiIxMjM0.abcdefghijklm",
    "a token without an algorithm": token({"typ": "JWT"}),
    "base64 of JSON": part({"alg": "HS256", "name": "x" * 60}),
    "a word like a key id": "AKIAIOSFODNN7EXAMPLEANDMORE",
    "a short key id": "AKIA12",
    "a key id in small letters": "akiaiosfodnn7example",
    "a short Google key": "AIzaSyD-9tSrke72",
    "a git hash": "commit da39a3ee5e6b4b0d3255bfef95601890afd80709 on main",
    "40 characters without a word": f"upload id {AWS_SECRET}",
    "a secret key that is none": "secret_key = not-set-in-this-environment-yet-at-all",
    "a name of a secret key": "the parameter secret_access_key is missing",
    "a hash beside the words": "secret_key_hash: da39a3ee5e6b4b0d3255bfef95601890afd80709",
    "a prefix alone": "tokens begin with ghp_, github_pat_, glpat-, xoxb-, sk_live_, npm_ or hvs.",
    "npm's variables": "npm_config_registry=https://registry.npmjs.org npm_lifecycle_event=build",
    "a package": "npm_package_dependencies_something_that_is_long",
    "a test key": "sk_" + "test_" + LETTERS[:24],
    "words with dashes": "xoxb-is-what-tokens-of-bots-begin-with-mostly",
    "a column": "pypi-agent-installs, glpattern-matching, hvs.values",
    "a URL with a user": "ssh://git@github.com:22/org/repo.git",
    "a URL with a port": "http://db.example.com:5432/main?email=me@example.com",
    "a URL and an address": "see http://example.com:80 or write to me@example.com",
    "a URL that hides its password": "postgres://loader:***@db/main and mysql://a:xxxxx@b",
    "a URL with a placeholder": "postgres://loader:${DB_PASSWORD}@db, amqp://u:{password}@h, redis://u:[redacted]@h",
    "a public key": "-----BEGIN PUBLIC KEY-----\n" + PEM_LINES[0] + "\n-----END PUBLIC KEY-----",
    "a certificate": "-----BEGIN CERTIFICATE-----\n" + PEM_LINES[0] + "\n-----END CERTIFICATE-----",
    "a key that is only mentioned": f"expected `{begin()}` at the begin of the file",
    "a signature that is short": "https://example.com/x?sig=abc123&v=2",
    "words": "design=new significant=yes assigned=today",
    "a line of a table": "| 2026-01-01 | in.c-main.orders | 1,200 rows | 35 ms |",
    "a trace": "at com.example.loader.LoaderFactory$Anonymous.run(LoaderFactory.java:123)",
    "a path": "/data/in/tables/orders/AccountKeyExample/eyJ/AIza/part-00000-0a1b2c3d.csv.gz",
    "an image": "registry.example.com/a/b@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "an address with a name": "scheme://name@host and mailto:someone@example.com",
}
"""Each stays as it is."""
