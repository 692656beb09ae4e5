"""Other servers under the same load in the same run: what if there were no platform, and other platforms.

    make bench-peers                                          # installs workerd (npm) and MiniStack (PyPI) first
    .venv/bin/python bench/peers/peers.py [--seconds 3]

Each is started on a free port, asked with one connection and with 64, and stopped. One that is not installed is skipped, loudly.
"""

import argparse
import contextlib
import io
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import zipfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import boto3  # noqa: E402
from measure import BODY, FUNCTIONS, Server, build_functions, wrk  # noqa: E402


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@contextlib.contextmanager
def started(command, port, **options):
    process = subprocess.Popen([str(part) for part in command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options)
    try:
        for _ in range(300):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            assert process.poll() is None, f"{command[0]} ended"
            time.sleep(0.1)
        yield
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def node_http():
    port = free_port()
    with started(["/usr/bin/node", HERE / "node_http.mjs", port], port):
        yield f"http://127.0.0.1:{port}/", {}


@contextlib.contextmanager
def python_http():
    port = free_port()
    with started(["/usr/bin/python3", HERE / "python_http.py", port], port):
        yield f"http://127.0.0.1:{port}/", {}


@contextlib.contextmanager
def workerd():
    program = HERE / "node_modules/.bin/workerd"
    if not program.exists():
        raise FileNotFoundError("npm install in bench/peers installs it")
    port = free_port()
    with started([program, "serve", HERE / "workerd.capnp", "--socket-addr", f"http=127.0.0.1:{port}"], port):
        yield f"http://127.0.0.1:{port}/", {}


@contextlib.contextmanager
def ministack():
    program = shutil.which("ministack") or os.environ.get("MINISTACK")
    if not program:
        raise FileNotFoundError("pip install -r bench/peers/requirements.txt installs it; MINISTACK names its program elsewhere")
    port = free_port()
    with tempfile.TemporaryDirectory() as folder, started([program], port, env={**os.environ, "GATEWAY_PORT": str(port), "LAMBDA_EXECUTOR": "local"}, cwd=folder):
        client = boto3.client("lambda", endpoint_url=f"http://127.0.0.1:{port}", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.write(FUNCTIONS["python"][0] / "app.py", "app.py")
        client.create_function(FunctionName="noop", Runtime="python3.11", Handler="app.handler", Role="arn:aws:iam::000000000000:role/r",
                               Code={"ZipFile": buffer.getvalue()})
        assert json.loads(client.invoke(FunctionName="noop", Payload=BODY)["Payload"].read()) is None
        yield f"http://127.0.0.1:{port}/2015-03-31/functions/noop/invocations", {}


def mayfly(kind):
    @contextlib.contextmanager
    def run():
        with Server() as server:
            server.create(kind, kind)
            server.invoke(kind)
            path, headers = server.signed(kind)
            yield server.endpoint + path, headers

    return run


PEERS = {
    "Mayfly, native function": mayfly("native"),
    "Mayfly, Node.js function": mayfly("nodejs"),
    "Mayfly, Python function": mayfly("python"),
    "node:http, no platform": node_http,
    "http.server of Python, no platform": python_http,
    "workerd, JavaScript": workerd,
    "MiniStack, Python function": ministack,
}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, default=3)
    arguments = parser.parse_args()
    build_functions()
    lines = ["| server | p50, 1 connection | p99 | requests a second, 64 connections |", "|---|---|---|---|"]
    for name, peer in PEERS.items():
        try:
            with peer() as (address, headers):
                headers = {"Content-Type": "application/json", **headers}
                wrk(address, 1, 1, headers, BODY)
                one = wrk(address, 1, arguments.seconds, headers, BODY)
                wrk(address, 64, 1, headers, BODY)
                many = wrk(address, 64, arguments.seconds, headers, BODY)
        except FileNotFoundError as missing:
            print(f"SKIPPED: {name}: {missing}", file=sys.stderr)
            continue
        refused = f" ({many['refused']} refused)" if many["refused"] or one["refused"] else ""
        lines.append(f"| {name} | {one['p50_ms']:.3f} ms | {one['p99_ms']:.2f} ms | {many['per_second']:,.0f}{refused} |")
        print(lines[-1], flush=True)
    folder = HERE.parent / "results"
    folder.mkdir(exist_ok=True)
    (folder / "peers.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
