"""Malformed requests that no HTTP library would send: the server answers or hangs up, and goes on serving."""

import contextlib
import socket
from collections.abc import Callable

import pytest

from tests.server.conftest import Server

pytestmark = [pytest.mark.keras, pytest.mark.server]

REQUESTS = {
    "not HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "two lengths": b"POST /train HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "both": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "negative length": b"POST /train HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
    "endless length": b"POST /train HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n",
    "bad chunk": b"POST /train HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "null byte in path": b"GET /patterns/\x00 HTTP/1.1\r\nHost: a\r\n\r\n",
    "encoded null": b"GET /patterns/%00%ff HTTP/1.1\r\nHost: a\r\n\r\n",
    "climbing path": b"GET /page/..%2f..%2fsettings.py HTTP/1.1\r\nHost: a\r\n\r\n",
    "bytes in a header": b"GET /livez HTTP/1.1\r\nHost: a\r\nX-Request-Id: \xff\xfe\r\nAccept: \xff\r\n\r\n",
    "bytes in a key": b"POST /train HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer \xff\r\nContent-Length: 2\r\n\r\n{}",
    "unknown method": b"BREW /livez HTTP/1.1\r\nHost: a\r\n\r\n",
    "upgrade": b"GET /livez HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    "bytes in a query": b"POST /train?\xff HTTP/1.1\r\nHost: a\r\nOrigin: http://a\r\nContent-Length: 2\r\n\r\n{}",
    "huge query": b"GET /predict/add-ten?version=" + b"9" * 5000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
}


def exchange(server: Server, sent: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        received = b""
        try:
            connection.sendall(sent)
            with contextlib.suppress(OSError):  # not connected any more: it has hung up on what it read so far
                connection.shutdown(socket.SHUT_WR)
            while chunk := connection.recv(65536):
                received += chunk
        except ConnectionError:
            pass
    return received


def test_malformed_requests_get_no_5xx_and_harm_nobody(server: Server) -> None:
    for name, sent in REQUESTS.items():
        received = exchange(server, sent)
        assert not received.startswith(b"HTTP/1.1 5"), (name, received)
        assert server.client.get("/livez").status_code == 200, name
    assert b"bug" not in server.log.read_bytes()


@pytest.mark.parametrize(
    "headers",
    [b"X-Long: " + b"a" * 100_000 + b"\r\n", b"".join(b"X-%d: a\r\n" % number for number in range(50_000))],
    ids=["one long", "many"],
)
def test_headers_have_an_end(server: Server, headers: bytes) -> None:
    received = exchange(server, b"GET /livez HTTP/1.1\r\nHost: a\r\n" + headers + b"\r\n")
    assert received == b"" or received.startswith(b"HTTP/1.1 431 ")
    assert server.client.get("/livez").status_code == 200


def test_a_client_that_does_not_go_on_is_hung_up_on(serve: Callable[..., Server]) -> None:
    server = serve(header_seconds=0.5, body_seconds=0.5).wait_ready()
    for sent in (b"", b"GET /livez HT", b"POST /predict/add-ten HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n{"):
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
            connection.sendall(sent)
            assert connection.recv(65536).startswith(b"HTTP/1.1 408 ")
    assert server.client.get("/livez").status_code == 200
