"""Callers that mean no good: nothing they send stops the daemon, or other callers."""

import re
import socket
import time
import urllib.error
import urllib.request


def exchange(port, data, most=1 << 20, seconds=30):
    """Sends bytes; what comes until the other end closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as connection:
        try:
            connection.sendall(data)
            answer = b""
            while len(answer) < most:
                part = connection.recv(65536)
                if not part:
                    break
                answer += part
        except (ConnectionResetError, BrokenPipeError):
            pass
        return answer


def status(answer):
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.1 ") else None


def is_answered(port):
    """Seconds until an honest caller is answered, who comes again when told to."""
    start = time.monotonic()
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/volumes", timeout=60) as answer:
                assert answer.status == 200
                return round(time.monotonic() - start, 2)
        except urllib.error.HTTPError as refusal:
            if refusal.code != 429 or time.monotonic() - start > 60:
                raise
            time.sleep(float(refusal.headers["Retry-After"]))


def open_files(port):
    """Files and connections that the daemon has open, as it tells Prometheus."""
    while True:
        answer = exchange(port, request("/metrics"))
        if status(answer) == 200:
            return int(re.search(rb"^process_open_fds (\d+)", answer, re.M)[1])
        time.sleep(1)


def request(path, *headers, method="GET"):
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", "Connection: close", *headers]
    return "\r\n".join(lines).encode("latin-1", "replace") + b"\r\n\r\n"


def check_requests(port):
    huge = "9" * 400
    for path in [
        "/../../etc/passwd", "/..%2f..%2fetc%2fpasswd", "/view/../../x", "/%00", "/%", "/%zz", "//", "/?" + "a=b&" * 2000,
        f"/api/v1/volumes/test/sections/{huge}", f"/api/v1/volumes/test/segments/{huge}",
        f"/api/v1/volumes/test/sections/1/tiles/image/{huge}/0/0", "/api/v1/volumes/test/sections/1/tiles/image/0/-1/0",
        "/api/v1/volumes/test/sections/1/tiles/image/63/0/0", "/api/v1/volumes/test/sections/1/tiles/image/64/0/0",
        f"/precomputed/test/image/0/0-{huge}_0-1_0-1", "/precomputed/test/image/9223372036854775807/0-256_0-256_0-1",
        f"/precomputed/test/segmentation@{huge}/info", f"/api/v1/volumes/test/rates?bucket_seconds={huge}",
        "/api/v1/volumes/test'; drop table fgnet.section; --/sections", "/api/v1/volumes/%27%20or%201=1/sections",
        "/api/v1/volumes/te%00st/sections", "/api/v1/volumes/%ff%fe/sections", "/neuroglancer/../../etc/passwd",
    ]:
        answer = exchange(port, request(path))
        assert status(answer) is not None and 200 <= status(answer) < 500, f"{path[:80]}: {answer[:200]}"
        assert b"root:" not in answer and (status(answer) >= 400 or path[1] in "/?"), f"{path[:80]}: {answer[:200]}"
    for method in ["POST", "PUT", "DELETE", "PATCH", "TRACE", "BREW"]:
        assert status(exchange(port, request("/api/v1/volumes", method=method))) in (400, 405), method
    for data in [
        b"", b"\r\n\r\n", b"GET", b"GET / HTTP/9.9\r\n\r\n", b"\x16\x03\x01\x02\x00" + bytes(200), b"\0" * 5000,
        request("/", "X: " + "y" * 200_000), request("/", *[f"X{k}: y" for k in range(2000)]), request("/" + "a" * 100_000),
        request("/api/v1/volumes", "Content-Length: 99999999999999999999"), request("/", "Transfer-Encoding: chunked"),
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        request("/", "Host: evil.example"), request("/api/v1/volumes", "Cookie: " + "a=b; " * 1000),
    ]:
        exchange(port, data, seconds=90)
    is_answered(port)


def check_connections(port):
    """200 connections that send nothing, or half of a request, and never read: others are answered meanwhile."""
    before, held = open_files(port), []
    for number in range(200):
        connection = socket.create_connection(("127.0.0.1", port), timeout=30)
        if number % 4 == 1:
            connection.sendall(b"GET /api/v1/vol")
        elif number % 4 == 2:
            connection.sendall(request("/openapi.yaml")[:-2])
        elif number % 4 == 3:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.sendall(b"GET /api/v1/volumes HTTP/1.1\r\nHost: localhost\r\n\r\n" * 20)
        held.append(connection)
    took = is_answered(port)
    open_at_most = open_files(port)
    # The daemon closes all of them, whatever they do.
    end = time.monotonic() + 240
    while (left := open_files(port)) > before + 5:
        assert time.monotonic() < end, f"{left} open files after 240 s, {before} before"
        time.sleep(1)
    for connection in held:
        connection.close()
    assert open_at_most > before + 50, f"{before} open files before, {open_at_most} then: the connections were not held"
    return f"another caller was answered after {took} s; all were closed {240 - end + time.monotonic():.0f} s later"


def check_many_at_once(port):
    """More requests at a time than are allowed get a refusal that says to come again, and do no harm."""
    held = []
    for number in range(200):
        connection = socket.create_connection(("127.0.0.1", port), timeout=60)
        connection.sendall(request(f"/api/v1/volumes/test/sections/{number % 4}/segments"))
        held.append(connection)
    answers = []
    for connection in held:
        answer = b""
        while part := connection.recv(65536):
            answer += part
        answers.append(status(answer))
        connection.close()
    assert set(answers) <= {200, 429} and answers.count(200) >= 32, {one: answers.count(one) for one in set(answers)}
    is_answered(port)
    return f"{answers.count(200)} answered, {answers.count(429)} told to come again"
