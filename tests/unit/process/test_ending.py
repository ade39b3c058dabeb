"""How a process ends: with its output written, its own exit code, and never by a signal."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ASKS_AND_ENDS = """
import asyncio, sys
import obstore
from obstore.store import HTTPStore
from componentrun.process.ending import leave

store = HTTPStore.from_url(sys.argv[1], client_options={"allow_http": True})
much = [{number: str(number)} for number in range(200_000)]  # so that taking it down would last


async def ask():
    asked = [asyncio.ensure_future(obstore.get_async(store, "x")) for _ in range(200)]
    await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)


asyncio.run(ask())
print("done")
leave(3)
"""


class Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "3")
        self.send_header("Last-Modified", "Thu, 26 Nov 2026 12:00:00 GMT")
        self.end_headers()
        self.wfile.write(b"abc")

    def log_message(self, *_: object) -> None:
        """It is quiet."""


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, *_: object) -> None:
        """Who asked has gone."""


@pytest.fixture
def url() -> Iterator[str]:
    with Server(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def ended(script: str, *arguments: str) -> tuple[int, str, str]:
    done = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def test_answers_that_come_while_the_process_ends_do_not_kill_it(url: str) -> None:
    # With `sys.exit` in place of `leave` a quarter of them die.
    assert {ended(ASKS_AND_ENDS, url)[:2] for _ in range(10)} == {(3, "done\n")}


@pytest.mark.parametrize(
    ("program", "code", "told"),
    [
        ("pass", 0, ""),
        ("sys.exit()", 0, ""),
        ("sys.exit(7)", 7, ""),
        ("sys.exit('no such thing')", 1, "no such thing\n"),
        ("raise KeyError('x')", 1, "KeyError: 'x'\n"),
    ],
)
def test_the_exit_code_is_what_python_would_have_given(program: str, code: int, told: str) -> None:
    script = (
        "import sys\nfrom componentrun.process.ending import run\n"
        f"def program():\n    sys.stdout.write('written')\n    {program}\nrun(program)"
    )
    found, out, err = ended(script)
    assert (found, out) == (code, "written")
    assert err.endswith(told)
    assert bool(err) == bool(told)


def test_output_that_can_not_be_written_is_told() -> None:
    script = "from componentrun.process.ending import leave\nprint('x')\nleave(0)"
    with open("/dev/full", "w") as full:  # noqa: PTH123 - a device
        environment = {**os.environ, "PYTHONUNBUFFERED": ""}
        done = subprocess.run(
            [sys.executable, "-c", script], stdout=full, stderr=subprocess.PIPE, check=False, env=environment
        )
    assert done.returncode == 120
    assert b"the output was not written: [Errno 28]" in done.stderr


def test_the_command_line_ends_so() -> None:
    script = (
        "import atexit, sys\natexit.register(print, 'taken down')\nfrom componentrun.cli.app import main\n"
        "sys.argv = ['componentrun', 'version']\nmain()"
    )
    code, out, _ = ended(script)
    assert code == 0
    assert out.startswith("componentrun ")
    assert "taken down" not in out
