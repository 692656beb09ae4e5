"""A Runtime API of one instance, in the test's own process: hands out invocations and keeps what the client posts."""

import json
import queue
import socket
import subprocess
import threading
import time
from dataclasses import dataclass, field


@dataclass
class Posted:
    path: str
    headers: dict
    body: bytes
    trailers: dict = field(default_factory=dict)

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def kind(self):
        return self.path.rsplit("/", 1)[-1]


class FakeRuntimeApi:
    """Serves connections until closed. `invoke` queues one invocation and waits for what is posted for it."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        self.pending = queue.Queue()
        self.posted = queue.Queue()
        self.connections = 0
        self.polls = queue.Queue()
        self.chunks = []
        self.code = b""  # compiled code that the platform has of the version
        self.resting, self.restored = threading.Event(), threading.Event()  # of SnapStart: restore/next was asked, may be answered
        self.close_idle = False  # closes the connection after each posted answer, as a restarted server does
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        try:
            with connection, connection.makefile("rb") as reader:
                while True:
                    line = reader.readline()
                    if not line:
                        return
                    method, path, _ = line.decode().split(" ", 2)
                    headers = self.read_headers(reader)
                    if method == "GET" and path == "/2018-06-01/runtime/invocation/next":
                        self.polls.put(time.monotonic())
                        item = self.pending.get()
                        if item is None:
                            return
                        connection.sendall(item)
                        continue
                    if method == "GET" and path == "/2018-06-01/runtime/restore/next":
                        self.resting.set()
                        self.restored.wait(20)
                        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                        continue
                    if method == "GET" and path == "/2018-06-01/runtime/mayfly/code-cache":
                        status = b"200 OK" if self.code else b"404 Not Found"
                        connection.sendall(b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n" % (status, len(self.code)) + self.code)
                        continue
                    trailers = {}
                    if headers.get("transfer-encoding") == "chunked":
                        body, trailers = self.read_chunked(reader)
                    else:
                        body = reader.read(int(headers["content-length"]))
                    connection.sendall(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")
                    self.posted.put(Posted(path, headers, body, trailers))
                    if self.close_idle:
                        return
        except (ConnectionError, OSError):
            return

    @staticmethod
    def read_headers(reader):
        headers = {}
        while (line := reader.readline().strip()) != b"":
            name, _, value = line.decode().partition(":")
            headers[name.lower()] = value.strip()
        return headers

    def read_chunked(self, reader):
        body = b""
        while size := int(reader.readline(), 16):
            chunk = reader.read(size)
            self.chunks.append(chunk)
            body += chunk
            reader.readline()
        return body, self.read_headers(reader)

    def queue(self, event, request_id, raw=False, timeout_ms=3000, **headers):
        body = event if raw else json.dumps(event).encode()
        head = {
            "Content-Type": "application/json",
            "Lambda-Runtime-Aws-Request-Id": request_id,
            "Lambda-Runtime-Deadline-Ms": str(int(time.time() * 1000) + timeout_ms),
            "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:us-east-1:000000000000:function:f",
            **headers,
            "Content-Length": str(len(body)),
        }
        lines = "".join(f"{k}: {v}\r\n" for k, v in head.items())
        self.pending.put(f"HTTP/1.1 200 OK\r\n{lines}\r\n".encode() + body)

    def invoke(self, event=None, request_id="req-1", **options):
        self.queue(event, request_id, **options)
        answer = self.wait()
        assert f"/invocation/{request_id}/" in answer.path
        return answer

    def wait(self):
        return self.posted.get(timeout=20)

    def close(self):
        self.pending.put(None)
        self.listener.close()


class Runtime:
    """A runtime client as a child process, talking to a FakeRuntimeApi; `output` is its log."""

    def __init__(self, command, environment, folder):
        self.api = FakeRuntimeApi()
        self.log = open(folder / "output.log", "w+b")
        environment = {**environment, "AWS_LAMBDA_RUNTIME_API": self.api.address}
        self.process = subprocess.Popen(
            command, env=environment, cwd=folder, stdin=subprocess.DEVNULL, stdout=self.log, stderr=subprocess.STDOUT
        )

    def __getattr__(self, name):
        return getattr(self.api, name)

    @property
    def output(self):
        with open(self.log.name, "rb") as log:
            return log.read().decode()

    def exit_status(self):
        return self.process.wait(timeout=20)

    def close(self):
        self.process.kill()
        self.process.wait()
        self.api.close()
        self.log.close()
