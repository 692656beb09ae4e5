"""What the measurements share: a server of their own, functions that do nothing, a load generator, floors, statistics."""

import contextlib
import http.client
import io
import json
import os
import pathlib
import platform
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import zipfile

import boto3
import botocore.auth
import botocore.awsrequest
import botocore.config
import botocore.credentials

ROOT = pathlib.Path(__file__).resolve().parents[1]
FUNCTIONS = {
    "native": (ROOT / "bench/functions/native", "provided.al2023", "bootstrap"),
    "python": (ROOT / "bench/functions/python", "python3.11", "app.handler"),
    "nodejs": (ROOT / "bench/functions/nodejs", "nodejs20.x", "index.handler"),
}
PROGRAMS = {"native": ["/bin/true"], "python": ["/usr/bin/python3", "-c", "0"], "nodejs": ["/usr/bin/node", "-e", "0"]}
CREDENTIALS = botocore.credentials.Credentials("bench", "bench-secret")
BODY = b'{"name": "bench"}'
PAUSE = 0.25  # between cold starts, so that a ready sandbox has taken the place of the one before
ROLE = "arn:aws:iam::000000000000:role/bench"


class Server:
    def __init__(self, settings=()):
        self.settings = settings

    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix="mayfly-bench-")
        read_end, write_end = os.pipe()
        env = {**os.environ, "MAYFLY_ROOT_ACCESS_KEY_ID": "bench", "MAYFLY_ROOT_SECRET_ACCESS_KEY": "bench-secret"}
        command = [str(ROOT / "build/mayfly"), "serve", "--listen", "127.0.0.1:0", "--data", self.folder, "--control-fd", str(write_end)]
        for setting in self.settings:
            command += ["--set", setting]
        self.process = subprocess.Popen(command, pass_fds=[write_end], env=env, stdout=subprocess.DEVNULL,
                                        stderr=open(os.path.join(self.folder, "log"), "w"))
        os.close(write_end)
        with os.fdopen(read_end) as control:
            ready = json.loads(control.readline())
        self.port, self.endpoint = ready["port"], ready["endpoint"]
        config = botocore.config.Config(retries={"max_attempts": 0}, max_pool_connections=16)
        self.client = boto3.client("lambda", endpoint_url=self.endpoint, region_name="us-east-1", aws_access_key_id="bench",
                                   aws_secret_access_key="bench-secret", config=config)
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)
        shutil.rmtree(self.folder, ignore_errors=True)

    def create(self, name, kind, code=None, package=None, wait=True, handler=None, **settings):
        """A function of that kind; with other `code` (text by file name) or a whole `package` (a zip file's bytes)."""
        folder, runtime, own_handler = FUNCTIONS[kind]
        if package is None:
            buffer = io.BytesIO()
            with zipfile.ZipFile(buffer, "w") as archive:
                for path in folder.iterdir() if code is None else ():
                    if path.is_file():
                        archive.write(path, path.name)
                for file, text in (code or {}).items():
                    archive.writestr(file, text)
            package = buffer.getvalue()
        self.client.create_function(FunctionName=name, Runtime=runtime, Handler=handler or own_handler, Role=ROLE, MemorySize=1769, Timeout=60,
                                    Code={"ZipFile": package}, **settings)
        if wait:
            self.client.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1})

    def signed(self, name, body=BODY, version=None):
        path = f"/2015-03-31/functions/{name}/invocations" + (f"?Qualifier={version}" if version else "")
        request = botocore.awsrequest.AWSRequest("POST", self.endpoint + path, data=body, headers={"Host": f"127.0.0.1:{self.port}"})
        botocore.auth.SigV4Auth(CREDENTIALS, "lambda", "us-east-1").add_auth(request)
        return path, dict(request.headers)

    def invoke(self, name, version=None):
        """Milliseconds of one invocation on a connection that is open already."""
        path, headers = self.signed(name, version=version)
        connection = http.client.HTTPConnection("127.0.0.1", self.port)
        connection.connect()
        started = time.perf_counter()
        connection.request("POST", path, BODY, headers)
        response = connection.getresponse()
        response.read()
        took = (time.perf_counter() - started) * 1000
        connection.close()
        assert response.status == 200 and not response.getheader("X-Amz-Function-Error"), response.status
        return took

    def metrics(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port)
        connection.request("GET", "/metrics")
        return connection.getresponse().read().decode()


def build_functions():
    source = ROOT / "bench/functions/native"
    subprocess.run(["clang++-19", "-std=c++20", "-O2", "-static", "-s", "-o", str(source / "bootstrap"), str(source / "main.cpp")], check=True)


def cpu_ms():
    """CPU time that this machine has spent so far, in milliseconds."""
    fields = pathlib.Path("/proc/stat").read_text().splitlines()[0].split()[1:]
    busy = sum(int(fields[i]) for i in (0, 1, 2, 5, 6))
    return busy * 1000 / os.sysconf("SC_CLK_TCK")


def milliseconds(text):
    value, unit = re.fullmatch(r"([\d.]+)(us|ms|s)", text).groups()
    return float(value) * {"us": 0.001, "ms": 1, "s": 1000}[unit]


def wrk(url, connections, seconds, headers=None, body=None):
    """p50 and p99 in milliseconds, requests a second, and how many answers were no success."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        if body is not None:
            script.write('wrk.method = "POST"\n')
            script.write(f"wrk.body = [==[{body.decode()}]==]\n")
        for name, value in (headers or {}).items():
            script.write(f"wrk.headers[{json.dumps(name)}] = {json.dumps(value)}\n")
        script.flush()
        done = subprocess.run(["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", script.name, url],
                              capture_output=True, text=True, check=True)
    text = done.stdout
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    found = {share: re.search(rf"(?m)^\s+{share}%\s+(\S+)", text) for share in (50, 99)}
    assert all(found.values()) and "nan" not in found[50].group(1), f"wrk measured nothing:\n{text}"
    return {"p50_ms": milliseconds(found[50].group(1)), "p99_ms": milliseconds(found[99].group(1)),
            "per_second": float(re.search(r"Requests/sec:\s+([\d.]+)", text).group(1)), "refused": int(refused.group(1)) if refused else 0}


def spread(samples):
    ordered = sorted(samples)
    return {"p50_ms": statistics.median(ordered), "p99_ms": ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))],
            "min_ms": ordered[0], "samples": len(ordered)}


def timed(count, action):
    samples = []
    for _ in range(count):
        time.sleep(PAUSE / 5)
        started = time.perf_counter()
        action()
        samples.append((time.perf_counter() - started) * 1000)
    return spread(samples)


@contextlib.contextmanager
def relay(functions=None):
    """The floor's address: for one client at a time, or for many over that many functions."""
    with tempfile.TemporaryDirectory() as folder:
        program = os.path.join(folder, "relay")
        subprocess.run(["clang++-19", "-O2", "-std=c++23", "-o", program, str(ROOT / "bench/relay.cpp")], check=True)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        command = [program, str(port)] + ([str(functions)] if functions else [])
        process = subprocess.Popen(command, stdout=subprocess.PIPE)
        process.stdout.readline()
        try:
            yield f"http://127.0.0.1:{port}/"
        finally:
            process.kill()
            process.wait()


