"""The blocking client against real servers on this machine: what it sends, what it repeats, TLS and proxies."""

from __future__ import annotations

import base64
import datetime as dt
import json
import select
import socket
import ssl
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from componentrun.process.kubernetes import exchange
from componentrun.process.kubernetes.access.access import Access
from componentrun.process.kubernetes.access.credentials import Certificate, Credential, FixedCredentials, Pem
from componentrun.process.kubernetes.access.errors import AccessError
from componentrun.process.kubernetes.blocking import BlockingKube
from componentrun.process.kubernetes.errors import (
    AlreadyExistsError,
    ForbiddenError,
    GoneError,
    NotFoundError,
    UnavailableError,
)
from componentrun.process.kubernetes.resources import PODS, RUNS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class ApiServer(ThreadingHTTPServer):
    """Gives prepared answers and remembers what was asked. Status 0: it closes the connection instead."""

    daemon_threads = True

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: list[tuple[int, Any]] = []
        self.asked: list[tuple[str, str, Any, dict[str, str]]] = []
        self.connections = 0
        self.tls = tls

    @property
    def url(self) -> str:
        return f"{'http' if self.tls is None else 'https'}://127.0.0.1:{self.server_port}"

    def finish_request(self, request: Any, client_address: Any) -> None:
        self.connections += 1
        if self.tls is None:
            super().finish_request(request, client_address)
            return
        try:
            encrypted = self.tls.wrap_socket(request, server_side=True)
        except (ssl.SSLError, OSError):
            return  # the client does not trust it
        with encrypted:
            super().finish_request(encrypted, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: ApiServer

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except OSError:
            self.close_connection = True

    def do_GET(self) -> None:
        text = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        asked = (self.command, self.path, json.loads(text) if text else None, dict(self.headers))
        self.server.asked.append(asked)
        status, body = self.server.answers.pop(0) if self.server.answers else (200, {})
        if status == 0:
            self.close_connection = True
            return
        content = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_PATCH = do_DELETE = do_GET  # noqa: N815 - names that the standard library looks for

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def serving(server: Any) -> Iterator[Any]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(autouse=True)
def _no_proxy_and_no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "_FIRST_PAUSE", 0.001)
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def server() -> Iterator[ApiServer]:
    with serving(ApiServer()) as made:
        yield made


@pytest.fixture
def kube(server: ApiServer) -> Iterator[BlockingKube]:
    access = Access(server.url, FixedCredentials(Credential("sesame")), headers=(("Impersonate-User", "bob"),))
    with BlockingKube(access) as made:
        yield made


class TestRequests:
    def test_verbs_send_what_the_asynchronous_client_sends(self, kube: BlockingKube, server: ApiServer) -> None:
        kube.get(RUNS, "team", "a b")
        kube.create(RUNS, "team", {"x": 1}, dry_run=True)
        kube.patch(RUNS, "team", "one", {"spec": {"cancel": True}})
        kube.delete(PODS, "team", "one", uid="u", grace_seconds=3)
        runs = "/apis/componentrun.dev/v1alpha1/namespaces/team/componentruns"
        assert [asked[:3] for asked in server.asked] == [
            ("GET", f"{runs}/a%20b", None),
            ("POST", f"{runs}?fieldValidation=Strict&dryRun=All", {"x": 1}),
            ("PATCH", f"{runs}/one", {"spec": {"cancel": True}}),
            (
                "DELETE",
                "/api/v1/namespaces/team/pods/one",
                {"propagationPolicy": "Background", "preconditions": {"uid": "u"}, "gracePeriodSeconds": 3},
            ),
        ]
        assert server.asked[2][3]["Content-Type"] == "application/merge-patch+json"
        assert server.connections == 1, "a connection is kept"

    def test_a_token_and_whom_to_act_as_are_sent(self, kube: BlockingKube, server: ApiServer) -> None:
        kube.get(RUNS, "team", "one")
        headers = server.asked[0][3]
        assert (headers["Authorization"], headers["Impersonate-User"]) == ("Bearer sesame", "bob")

    def test_a_listing_is_read_in_pages_and_its_items_say_what_they_are(
        self, kube: BlockingKube, server: ApiServer
    ) -> None:
        server.answers = [
            (200, {"metadata": {"continue": "more"}, "items": [{"metadata": {"name": "a"}}]}),
            (200, {"metadata": {}, "items": [{"metadata": {"name": "b"}}]}),
        ]
        found = kube.list(RUNS, None, labels="team=sales", fields="spec.component=x")
        assert [(item["kind"], item["apiVersion"], item["metadata"]["name"]) for item in found] == [
            ("ComponentRun", "componentrun.dev/v1alpha1", "a"),
            ("ComponentRun", "componentrun.dev/v1alpha1", "b"),
        ]
        assert "limit=500&labelSelector=team%3Dsales&fieldSelector=spec.component%3Dx" in server.asked[0][1]
        assert "continue=more" in server.asked[1][1]

    def test_a_watch_gives_events_until_the_server_ends_it(self, kube: BlockingKube, server: ApiServer) -> None:
        events = [{"type": "ADDED", "object": {"n": number}} for number in range(3)]
        server.answers = [(200, "".join(json.dumps(event) + "\n" for event in events))]
        assert list(kube.watch(RUNS, "team", "7", seconds=5)) == events
        assert "watch=true&resourceVersion=7" in server.asked[0][1]

    def test_a_watch_from_too_old_a_version_says_so(self, kube: BlockingKube, server: ApiServer) -> None:
        server.answers = [(200, json.dumps({"type": "ERROR", "object": {"code": 410, "message": "too old"}}) + "\n")]
        with pytest.raises(GoneError):
            list(kube.watch(RUNS, "team", "7", seconds=5))

    def test_a_log_comes_line_by_line_and_long_lines_in_parts(self, kube: BlockingKube, server: ApiServer) -> None:
        server.answers = [(200, "one\n" + "x" * 70_000 + "\ntwo")]
        lines = list(kube.log("team", "pod", "push", follow=True))
        assert (lines[0], [len(line) for line in lines[1:]]) == (b"one\n", [65_536, 4_465, 3])
        assert server.asked[0][1] == "/api/v1/namespaces/team/pods/pod/log?container=push&follow=true"

    def test_a_log_without_its_pod_says_so(self, kube: BlockingKube, server: ApiServer) -> None:
        server.answers = [(404, {"message": "no such pod"})]
        with pytest.raises(NotFoundError):
            list(kube.log("team", "pod", "push", follow=False))

    def test_an_object_that_is_nested_too_deep_hides_no_others(self, kube: BlockingKube, server: ApiServer) -> None:
        deep = '{"a":' * 100_000 + "1" + "}" * 100_000
        server.answers = [(200, '{"metadata": {}, "items": [' + deep + ', {"metadata": {"name": "other"}}]}')]
        assert kube.list(RUNS, "team")[1]["metadata"] == {"name": "other"}


class TestRetries:
    @pytest.mark.parametrize("status", [0, 429, 503])
    def test_a_read_is_repeated(self, kube: BlockingKube, server: ApiServer, status: int) -> None:
        server.answers = [(status, {}), (status, {}), (200, {"fine": True})]
        assert kube.get(RUNS, "team", "one") == {"fine": True}

    def test_after_four_tries_it_is_unavailable(self, kube: BlockingKube, server: ApiServer) -> None:
        server.answers = [(503, {"message": "shutting down"})] * 5
        with pytest.raises(UnavailableError, match="503: shutting down"):
            kube.get(RUNS, "team", "one")
        assert len(server.asked) == 4

    @pytest.mark.parametrize("status", [0, 500])
    def test_a_creation_that_may_have_happened_is_not_repeated(
        self, kube: BlockingKube, server: ApiServer, status: int
    ) -> None:
        server.answers = [(status, {}), (200, {})]
        with pytest.raises(UnavailableError) as caught:
            kube.create(RUNS, "team", {"metadata": {"generateName": "r-"}})
        assert caught.value.may_be_done
        assert len(server.asked) == 1

    def test_a_creation_that_was_turned_away_is(self, kube: BlockingKube, server: ApiServer) -> None:
        server.answers = [(429, {}), (200, {"fine": True})]
        assert kube.create(RUNS, "team", {}) == {"fine": True}

    def test_a_kept_connection_that_the_server_closed_is_not_used(self, kube: BlockingKube, server: ApiServer) -> None:
        kube.get(RUNS, "team", "one")
        kept = kube._connection._http
        assert kept is not None
        kept.sock.shutdown(socket.SHUT_WR)
        assert select.select([kept.sock], [], [], 5)[0], "the server has closed it, too"
        kube.create(RUNS, "team", {})
        assert server.connections == 2

    def test_a_refused_credential_is_replaced_once(self, server: ApiServer) -> None:
        class Tokens(FixedCredentials):
            tokens = ("old", "new")

            def get(self) -> Credential:
                return Credential(self.tokens[0])

            def discard(self, refused: Credential) -> bool:
                assert refused.token == self.tokens[0]
                self.tokens = self.tokens[1:] or self.tokens
                return True

        server.answers = [(401, {}), (200, {"fine": True}), (401, {}), (401, {})]
        with BlockingKube(Access(server.url, Tokens())) as kube:
            assert kube.create(RUNS, "team", {}) == {"fine": True}
            with pytest.raises(ForbiddenError):
                kube.create(RUNS, "team", {})
        assert [asked[3]["Authorization"] for asked in server.asked[:2]] == ["Bearer old", "Bearer new"]

    @pytest.mark.parametrize(
        ("status", "body", "kind"),
        [
            (404, {"message": "not there"}, NotFoundError),
            (409, {"reason": "AlreadyExists", "message": "it is there"}, AlreadyExistsError),
        ],
    )
    def test_a_refusal_keeps_the_words_of_the_server(
        self, kube: BlockingKube, server: ApiServer, status: int, body: dict[str, str], kind: type[Exception]
    ) -> None:
        server.answers = [(status, body)]
        with pytest.raises(kind, match=body["message"]) as caught:
            kube.create(RUNS, "team", {})
        assert getattr(caught.value, "document", None) == body

    def test_nobody_there_is_said_with_the_reason(self) -> None:
        with BlockingKube(Access("http://127.0.0.1:9")) as kube, pytest.raises(UnavailableError) as caught:
            kube.get(RUNS, "team", "one")
        assert caught.value.message.endswith("no answer: Connection refused")
        assert not caught.value.may_be_done


class Authority:
    """Makes certificates."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.certificate = self._sign("authority", self.key, None, [])

    def pem(self) -> Pem:
        return Pem(self.certificate.public_bytes(serialization.Encoding.PEM), "the test")

    def issue(self, name: str, *hosts: Any) -> Certificate:
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._sign(name, key, self.certificate, list(hosts))
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return Certificate(
            Pem(certificate.public_bytes(serialization.Encoding.PEM), "the test"), Pem(private, "the test")
        )

    def _sign(self, name: str, key: Any, issuer: x509.Certificate | None, hosts: list[Any]) -> x509.Certificate:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = dt.datetime.now(dt.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer.subject if issuer else subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(minutes=5))
            .not_valid_after(now + dt.timedelta(hours=2))
            .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        )
        if hosts:
            builder = builder.add_extension(x509.SubjectAlternativeName(hosts), critical=False)
        return builder.sign(self.key, hashes.SHA256())


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture
def tls_server(authority: Authority, tmp_path: Path) -> Iterator[ApiServer]:
    """A server whose certificate is for `api.test`, not for its address; it asks for client certificates."""
    own = authority.issue("api", x509.DNSName("api.test"))
    files = tmp_path / "chain", tmp_path / "key"
    for file, pem in zip(files, (own.chain, own.key), strict=True):
        file.write_bytes(pem.content)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*files)
    context.load_verify_locations(cadata=authority.pem().content.decode())
    context.verify_mode = ssl.CERT_OPTIONAL
    with serving(ApiServer(context)) as made:
        yield made


class TestTls:
    def test_the_name_in_the_certificate_may_be_another_than_the_address(
        self, tls_server: ApiServer, authority: Authority
    ) -> None:
        access = Access(tls_server.url, authority=authority.pem(), tls_server_name="api.test")
        with BlockingKube(access) as kube:
            assert kube.get(RUNS, "team", "one") == {}

    @pytest.mark.parametrize("name", ["", "other.test"])
    def test_another_name_is_refused(self, tls_server: ApiServer, authority: Authority, name: str) -> None:
        access = Access(tls_server.url, authority=authority.pem(), tls_server_name=name)
        with (
            BlockingKube(access) as kube,
            pytest.raises(UnavailableError, match=r"can't be trusted: .*mismatch") as caught,
        ):
            kube.get(RUNS, "team", "one")
        assert not caught.value.may_be_done

    def test_another_authority_is_refused(self, tls_server: ApiServer) -> None:
        access = Access(tls_server.url, authority=Authority().pem(), tls_server_name="api.test")
        with BlockingKube(access) as kube, pytest.raises(UnavailableError, match="its certificate can't be trusted"):
            kube.get(RUNS, "team", "one")

    def test_nothing_is_checked_where_the_kubeconfig_says_so(self, tls_server: ApiServer) -> None:
        with BlockingKube(Access(tls_server.url, is_verified=False)) as kube:
            assert kube.get(RUNS, "team", "one") == {}

    def test_a_client_certificate_is_shown(self, tls_server: ApiServer, authority: Authority) -> None:
        assert tls_server.tls is not None
        tls_server.tls.verify_mode = ssl.CERT_REQUIRED
        fields: dict[str, Any] = {"authority": authority.pem(), "tls_server_name": "api.test"}
        with BlockingKube(Access(tls_server.url, **fields)) as kube, pytest.raises(UnavailableError):
            kube.get(RUNS, "team", "one")
        credentials = FixedCredentials(Credential(certificate=authority.issue("ann")))
        with BlockingKube(Access(tls_server.url, credentials, **fields)) as kube:
            assert kube.get(RUNS, "team", "one") == {}

    def test_a_new_client_certificate_opens_a_new_connection(self, tls_server: ApiServer, authority: Authority) -> None:
        class Renewed(FixedCredentials):
            def get(self) -> Credential:
                return Credential(certificate=certificates[0])

        certificates = [authority.issue("ann"), authority.issue("ann")]
        access = Access(tls_server.url, Renewed(), authority=authority.pem(), tls_server_name="api.test")
        with BlockingKube(access) as kube:
            kube.get(RUNS, "team", "one")
            kube.get(RUNS, "team", "one")
            assert tls_server.connections == 1
            del certificates[0]
            kube.get(RUNS, "team", "one")
        assert tls_server.connections == 2

    @pytest.mark.parametrize("content", [b"nonsense", b""])
    def test_what_is_no_certificate_is_named(self, authority: Authority, content: bytes) -> None:
        broken = Pem(content, "kubeconfig `x`: `certificate-authority-data`")
        with pytest.raises(AccessError, match="kubeconfig `x`: `certificate-authority-data`: found no certificate"):
            Access("https://192.0.2.1", authority=broken).tls(None)
        mixed = Certificate(authority.issue("ann").chain, authority.issue("bob").key)
        with pytest.raises(AccessError, match="client certificate of the test and key of the test can't be used"):
            Access("https://192.0.2.1").tls(mixed)

    def test_an_encrypted_key_is_refused_instead_of_asking_for_a_password(self, authority: Authority) -> None:
        certificate = authority.issue("ann")
        key = serialization.load_pem_private_key(certificate.key.content, None)
        encrypted = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
        with pytest.raises(AccessError, match="the key is encrypted"):
            Access("https://192.0.2.1").tls(Certificate(certificate.chain, Pem(encrypted, "the test")))


def _connected_to(server: str, proxy: str, monkeypatch: pytest.MonkeyPatch) -> tuple[str, int]:
    """The address to which the first request opens a connection."""
    addresses: list[tuple[str, int]] = []

    def create_connection(address: tuple[str, int], *_: Any) -> socket.socket:
        addresses.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "create_connection", create_connection)
    with BlockingKube(Access(server, proxy_url=proxy)) as kube, pytest.raises(UnavailableError):
        kube.get(PODS, "default", "a")
    return addresses[0]


@pytest.mark.parametrize(
    ("server", "address"),
    [
        ("https://[2001:db8::1]", ("2001:db8::1", 443)),
        ("https://[2001:db8::1]:6443", ("2001:db8::1", 6443)),
        ("https://api.test", ("api.test", 443)),
        ("http://api.test", ("api.test", 80)),
    ],
)
def test_the_port_of_a_url_defaults_to_that_of_its_scheme(
    server: str, address: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _connected_to(server, "", monkeypatch) == address


class Proxy(ThreadingHTTPServer):
    """Connects to whatever it is asked for, and remembers it."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _ProxyHandler)
        self.asked: list[tuple[str, str, str]] = []


class _ProxyHandler(BaseHTTPRequestHandler):
    server: Proxy

    def do_CONNECT(self) -> None:
        self.server.asked.append((self.command, self.path, self.headers.get("Proxy-Authorization", "")))
        host, _, port = self.path.rpartition(":")
        with socket.create_connection((host, int(port))) as other:
            self.send_response(200)
            self.end_headers()
            pair = {self.connection: other, other: self.connection}
            while True:
                for ready in select.select(list(pair), [], [])[0]:
                    data = ready.recv(65536)
                    if not data:
                        self.close_connection = True
                        return
                    pair[ready].sendall(data)

    def do_GET(self) -> None:
        self.server.asked.append((self.command, self.path, self.headers.get("Proxy-Authorization", "")))
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


class TestProxies:
    @pytest.fixture
    def proxy(self) -> Iterator[Proxy]:
        with serving(Proxy()) as made:
            yield made

    def test_tls_goes_through_it_to_the_server(self, tls_server: ApiServer, authority: Authority, proxy: Proxy) -> None:
        url = f"http://ann:p@127.0.0.1:{proxy.server_port}"
        access = Access(tls_server.url, authority=authority.pem(), tls_server_name="api.test", proxy_url=url)
        with BlockingKube(access) as kube:
            assert kube.get(RUNS, "team", "one") == {}
        keys = f"Basic {base64.b64encode(b'ann:p').decode()}"
        assert proxy.asked == [("CONNECT", f"127.0.0.1:{tls_server.server_port}", keys)]

    def test_without_tls_it_is_asked_for_the_whole_url(self, proxy: Proxy) -> None:
        access = Access("http://192.0.2.1:8080", proxy_url=f"http://127.0.0.1:{proxy.server_port}")
        with BlockingKube(access) as kube:
            assert kube.request("GET", "/version") == {}
        assert proxy.asked == [("GET", "http://192.0.2.1:8080/version", "")]

    def test_its_port_is_that_of_http_unless_its_url_names_one(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert _connected_to("https://api.test", "http://proxy.test", monkeypatch) == ("proxy.test", 80)
        assert _connected_to("https://api.test", "http://proxy.test:3128", monkeypatch) == ("proxy.test", 3128)

    def test_one_that_speaks_tls_itself_is_refused(self) -> None:
        with pytest.raises(AccessError, match="proxy `https://proxy:1`: expected a URL that starts with `http://`"):
            BlockingKube(Access("https://192.0.2.1", proxy_url="https://proxy:1"))
