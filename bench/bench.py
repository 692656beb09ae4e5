"""Cold and warm invokes of the three example functions, each figure beside its floor on the same machine in the same run.

    make bench                      # table on the terminal, bench/results/bench.json
    .venv/bin/python bench/bench.py --seconds 10 --cold 50
    .venv/bin/python bench/bench.py --only warm,burst

Parts: "warm" (wrk repeats one signed request; the floor is bench/relay.cpp), "cold" (one invocation after each change of the
configuration, with ready sandboxes and, from a server that keeps none, without), "burst" (many different functions cold at
once). Medians; what the numbers are made of is in docs/performance.md. No assertion on time.
"""

import argparse
import concurrent.futures
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
    "native": (ROOT / "examples/hello-cpp", "provided.al2023", "bootstrap"),
    "python": (ROOT / "examples/hello-python", "python3.11", "app.handler"),
    "nodejs": (ROOT / "examples/hello-nodejs", "nodejs20.x", "index.handler"),
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
        config = botocore.config.Config(retries={"max_attempts": 0}, max_pool_connections=8)
        self.client = boto3.client("lambda", endpoint_url=self.endpoint, region_name="us-east-1", aws_access_key_id="bench",
                                   aws_secret_access_key="bench-secret", config=config)
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)
        shutil.rmtree(self.folder, ignore_errors=True)

    def create(self, name, kind, **settings):
        folder, runtime, handler = FUNCTIONS[kind]
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for path in folder.iterdir():
                if path.is_file():
                    archive.write(path, path.name)
        self.client.create_function(FunctionName=name, Runtime=runtime, Handler=handler, Role=ROLE, MemorySize=1769, Timeout=60,
                                    Code={"ZipFile": buffer.getvalue()}, **settings)
        self.client.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1})

    def signed(self, name):
        path = f"/2015-03-31/functions/{name}/invocations"
        request = botocore.awsrequest.AWSRequest("POST", self.endpoint + path, data=BODY, headers={"Host": f"127.0.0.1:{self.port}"})
        botocore.auth.SigV4Auth(CREDENTIALS, "lambda", "us-east-1").add_auth(request)
        return path, dict(request.headers)

    def invoke(self, name):
        """Milliseconds of one invocation on a connection that is open already."""
        path, headers = self.signed(name)
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
    found = {share: re.search(rf"{share}%\s+(\S+)", text) for share in (50, 99)}
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
def relay():
    with tempfile.TemporaryDirectory() as folder:
        program = os.path.join(folder, "relay")
        subprocess.run(["clang++-19", "-O2", "-std=c++23", "-o", program, str(ROOT / "bench/relay.cpp")], check=True)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        process = subprocess.Popen([program, str(port)], stdout=subprocess.PIPE)
        process.stdout.readline()
        try:
            yield f"http://127.0.0.1:{port}/"
        finally:
            process.kill()
            process.wait()


def phases(text):
    """Mean of each phase of the cold starts so far, in milliseconds, and how many had a ready sandbox."""
    means = {}
    for phase in ("queue", "sandbox", "code", "runtime", "user_init"):
        total = re.search(rf'mayfly_cold_start_phase_seconds_sum{{phase="{phase}"}} (\S+)', text)
        count = re.search(rf'mayfly_cold_start_phase_seconds_count{{phase="{phase}"}} (\S+)', text)
        if total and count and float(count.group(1)):
            means[phase] = float(total.group(1)) / float(count.group(1)) * 1000
    for sandbox in ("ready", "made"):
        found = re.search(rf'mayfly_cold_start_sandboxes_total{{sandbox="{sandbox}"}} (\S+)', text)
        means[sandbox] = int(float(found.group(1))) if found else 0
    return means


def cold(server, name, count):
    samples = []
    for i in range(count):
        server.client.update_function_configuration(FunctionName=name, Environment={"Variables": {"ROUND": str(i)}})
        server.client.get_waiter("function_updated_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1})
        time.sleep(PAUSE)
        samples.append(server.invoke(name))
    return spread(samples)


def measure_cold(arguments, result):
    floor = result["floor"]
    floor["spawn"] = {kind: timed(20, lambda kind=kind: subprocess.run(PROGRAMS[kind], check=True)) for kind in PROGRAMS}
    for key, settings in (("ready", ()), ("empty", ("ready_memory_mb=0",))):
        for kind in FUNCTIONS:
            with Server(settings) as server:
                server.create(kind, kind)
                server.invoke(kind)
                time.sleep(PAUSE)
                # What the same client needs for a warm invocation after the same pause.
                floor.setdefault("round_trip", {})[kind] = timed(15, lambda: server.invoke(kind))
                before = cpu_ms()
                entry = cold(server, kind, arguments.cold)
                entry["cpu_ms"] = (cpu_ms() - before) / arguments.cold
                entry["phases"] = phases(server.metrics())
                result["functions"].setdefault(kind, {})[f"cold_{key}"] = entry


def measure_warm(arguments, result):
    floor = result["floor"]
    with relay() as url:
        wrk(url, 1, 1, body=BODY)
        floor["relay"] = wrk(url, 1, arguments.seconds, body=BODY)
    with Server() as server:
        floor["http"] = wrk(server.endpoint + "/_mayfly/health", 1, arguments.seconds)
        floor["http_64"] = wrk(server.endpoint + "/_mayfly/health", 64, arguments.seconds)
        for kind in FUNCTIONS:
            server.create(kind, kind)
            server.invoke(kind)
            path, headers = server.signed(kind)
            entry = result["functions"].setdefault(kind, {})
            wrk(server.endpoint + path, 1, 1, headers, BODY)
            entry["warm"] = wrk(server.endpoint + path, 1, arguments.seconds, headers, BODY)
            wrk(server.endpoint + path, 64, 2, headers, BODY)
            entry["warm_64"] = wrk(server.endpoint + path, 64, arguments.seconds, headers, BODY)


def measure_burst(arguments, result):
    """Different Python functions, all cold, all at once."""
    with Server() as server:
        names = [f"burst-{i}" for i in range(arguments.burst)]
        for name in names:
            server.create(name, "python")
        time.sleep(1)
        gate = threading.Barrier(len(names))

        def one(name):
            gate.wait()
            return server.invoke(name)

        before = cpu_ms()
        started = time.perf_counter()
        with concurrent.futures.ThreadPoolExecutor(len(names)) as pool:
            samples = list(pool.map(one, names))
        took = (time.perf_counter() - started) * 1000
        result["burst"] = {**spread(samples), "all_ms": took, "cpu_ms": cpu_ms() - before, "phases": phases(server.metrics())}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, default=5, help="of each warm measurement")
    parser.add_argument("--cold", type=int, default=20, help="cold starts of each function")
    parser.add_argument("--burst", type=int, default=100, help="functions that start at once")
    parser.add_argument("--only", default="cold,warm,burst")
    parser.add_argument("--output", default=str(ROOT / "bench/results/bench.json"))
    arguments = parser.parse_args()
    if not shutil.which("wrk"):
        sys.exit("bench: wrk is missing; apt-get install wrk")
    subprocess.run(["make", "-s", "-C", str(ROOT / "examples/hello-cpp")], check=True)
    result = {"machine": {"kernel": platform.release(), "cpus": os.cpu_count()}, "floor": {}, "functions": {}}
    for part, measure in (("cold", measure_cold), ("warm", measure_warm), ("burst", measure_burst)):
        if part in arguments.only.split(","):
            measure(arguments, result)
    output = pathlib.Path(arguments.output)
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(result, indent=2) + "\n")
    report(result)
    print(f"written to {output.relative_to(ROOT) if output.is_relative_to(ROOT) else output}")


def row(what, figure, floor, goal, unit="ms"):
    print(f"{what:44} {figure:9.3f} {unit:4} {floor:9.3f} {unit:4} {figure / floor:7.2f}   {goal}")


def report(result):
    floor, functions, cpus = result["floor"], result["functions"], result["machine"]["cpus"]
    print(f"{'what (p50 unless said)':44} {'figure':>14} {'floor':>14} {'ratio':>7}   goal")
    for kind, entry in functions.items():
        if "cold_ready" in entry:
            spawn = floor["spawn"][kind]["p50_ms"]
            if kind == "native":
                least = spawn + floor["round_trip"][kind]["p50_ms"]
                row("cold native, ready; floor: spawn + round trip", entry["cold_ready"]["p50_ms"], least, "2")
            else:
                row(f"cold {kind}, ready; floor: bare interpreter", entry["cold_ready"]["p50_ms"], spawn, "0.35" if kind == "python" else "0.2")
                least = spawn + functions["native"]["cold_empty"]["p50_ms"]
                row(f"cold {kind}, none ready; interpreter + sandbox", entry["cold_empty"]["p50_ms"], least, "1.3")
        if "warm" in entry:
            row(f"warm {kind}; floor: relay", entry["warm"]["p50_ms"], floor["relay"]["p50_ms"], "1.5" if kind == "native" else "2")
            row(f"warm {kind}, p99", entry["warm"]["p99_ms"], floor["relay"]["p99_ms"], "3" if kind == "native" else "-")
            row(f"warm {kind}, 64 connections; floor: HTTP server", entry["warm_64"]["per_second"], floor["http_64"]["per_second"],
                "0.5 or more" if kind == "native" else "-", "1/s")
    if "burst" in result:
        burst = result["burst"]
        row(f"{burst['samples']} Python functions cold at once, p99; CPU / cores", burst["p99_ms"], burst["cpu_ms"] / cpus, "4")
    for kind, entry in functions.items():
        for key in ("cold_ready", "cold_empty"):
            if key in entry:
                parts = ", ".join(f"{name} {value:.2f}" if isinstance(value, float) else f"{name} {value}"
                                  for name, value in entry[key]["phases"].items())
                print(f"{kind} {key}: p50 {entry[key]['p50_ms']:.2f} ms, p99 {entry[key]['p99_ms']:.2f} ms; mean ms of each phase: {parts}")


main()
