"""Cold and warm invokes of the three example functions, beside the floor of the same machine in the same run.

Warm numbers come from wrk, which repeats one signed request; cold ones from a plain client after each change of the function's
configuration has retired its instances. Medians over repetitions; every figure also as a ratio to its floor. No assertion on time.

    make bench                      # table on the terminal, bench/results/bench.json
    .venv/bin/python bench/bench.py --seconds 10 --cold 50
"""

import argparse
import http.client
import json
import os
import pathlib
import platform
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

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
CREDENTIALS = botocore.credentials.Credentials("bench", "bench-secret")


class Server:
    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix="mayfly-bench-")
        read_end, write_end = os.pipe()
        env = {**os.environ, "MAYFLY_ROOT_ACCESS_KEY_ID": "bench", "MAYFLY_ROOT_SECRET_ACCESS_KEY": "bench-secret"}
        self.process = subprocess.Popen(
            [str(ROOT / "build/mayfly"), "serve", "--listen", "127.0.0.1:0", "--data", self.folder, "--control-fd", str(write_end)],
            pass_fds=[write_end], env=env, stdout=subprocess.DEVNULL, stderr=open(os.path.join(self.folder, "log"), "w"))
        os.close(write_end)
        with os.fdopen(read_end) as control:
            ready = json.loads(control.readline())
        self.port, self.endpoint = ready["port"], ready["endpoint"]
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)
        shutil.rmtree(self.folder, ignore_errors=True)


def signed(server, name, body):
    request = botocore.awsrequest.AWSRequest("POST", f"{server.endpoint}/2015-03-31/functions/{name}/invocations", data=body,
                                             headers={"Host": f"127.0.0.1:{server.port}"})
    botocore.auth.SigV4Auth(CREDENTIALS, "lambda", "us-east-1").add_auth(request)
    return dict(request.headers)


def milliseconds(text):
    value, unit = re.fullmatch(r"([\d.]+)(us|ms|s)", text).groups()
    return float(value) * {"us": 0.001, "ms": 1, "s": 1000}[unit]


def wrk(server, path, connections, seconds, headers=None, body=None):
    """p50 and p99 in milliseconds, requests a second, and how many answers were no success."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        if body is not None:
            script.write('wrk.method = "POST"\n')
            script.write(f"wrk.body = [==[{body.decode()}]==]\n")
        for name, value in (headers or {}).items():
            script.write(f"wrk.headers[{json.dumps(name)}] = {json.dumps(value)}\n")
        script.flush()
        done = subprocess.run(["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", script.name, server.endpoint + path],
                              capture_output=True, text=True, check=True)
    text = done.stdout
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    return {"p50_ms": milliseconds(re.search(r"50%\s+(\S+)", text).group(1)), "p99_ms": milliseconds(re.search(r"99%\s+(\S+)", text).group(1)),
            "per_second": float(re.search(r"Requests/sec:\s+([\d.]+)", text).group(1)), "refused": int(refused.group(1)) if refused else 0}


def spread(samples):
    ordered = sorted(samples)
    return {"p50_ms": statistics.median(ordered), "p99_ms": ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))],
            "min_ms": ordered[0], "samples": len(ordered)}


def timed(count, action):
    samples = []
    for _ in range(count):
        started = time.perf_counter()
        action()
        samples.append((time.perf_counter() - started) * 1000)
    return spread(samples)


def cold(server, client, name, count):
    samples = []
    for i in range(count):
        client.update_function_configuration(FunctionName=name, Environment={"Variables": {"ROUND": str(i)}})
        client.get_waiter("function_updated_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1})
        connection = http.client.HTTPConnection("127.0.0.1", server.port)
        connection.connect()
        body = b'{"name": "bench"}'
        headers = signed(server, name, body)
        started = time.perf_counter()
        connection.request("POST", f"/2015-03-31/functions/{name}/invocations", body, headers)
        response = connection.getresponse()
        response.read()
        samples.append((time.perf_counter() - started) * 1000)
        assert response.status == 200 and not response.getheader("X-Amz-Function-Error"), response.status
        connection.close()
    return spread(samples)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, default=5, help="of each warm measurement")
    parser.add_argument("--cold", type=int, default=20, help="cold starts of each function")
    parser.add_argument("--output", default=str(ROOT / "bench/results/bench.json"))
    arguments = parser.parse_args()
    if not shutil.which("wrk"):
        sys.exit("bench: wrk is missing; apt-get install wrk")
    subprocess.run(["make", "-s", "-C", str(ROOT / "examples/hello-cpp")], check=True)
    result = {"machine": {"kernel": platform.release(), "cpus": os.cpu_count()}, "floor": {}, "functions": {}}
    with Server() as server:
        client = boto3.client("lambda", endpoint_url=server.endpoint, region_name="us-east-1", aws_access_key_id="bench",
                              aws_secret_access_key="bench-secret", config=botocore.config.Config(retries={"max_attempts": 0}))
        floor = result["floor"]
        floor["spawn"] = {name: timed(20, lambda command=command: subprocess.run(command, check=True))
                          for name, command in {"native": ["/bin/true"], "python": ["/usr/bin/python3", "-c", "0"],
                                                "nodejs": ["/usr/bin/node", "-e", "0"]}.items()}
        floor["http"] = wrk(server, "/_mayfly/health", 1, arguments.seconds)
        floor["http_64"] = wrk(server, "/_mayfly/health", 64, arguments.seconds)
        import zipfile, io  # noqa: E401
        for name, (folder, runtime, handler) in FUNCTIONS.items():
            buffer = io.BytesIO()
            with zipfile.ZipFile(buffer, "w") as archive:
                for path in folder.iterdir():
                    if path.is_file():
                        archive.write(path, path.name)
            client.create_function(FunctionName=name, Runtime=runtime, Handler=handler, Role="arn:aws:iam::000000000000:role/bench",
                                   Code={"ZipFile": buffer.getvalue()}, MemorySize=1769, Timeout=30)
            client.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1})
            body = b'{"name": "bench"}'
            path = f"/2015-03-31/functions/{name}/invocations"
            entry = {"cold": cold(server, client, name, arguments.cold)}
            entry["warm"] = wrk(server, path, 1, arguments.seconds, signed(server, name, body), body)
            wrk(server, path, 8, 1, signed(server, name, body), body)
            entry["warm_8"] = wrk(server, path, 8, arguments.seconds, signed(server, name, body), body)
            result["functions"][name] = entry
    output = pathlib.Path(arguments.output)
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(result, indent=2) + "\n")
    report(result, output)


def report(result, output):
    floor = result["floor"]
    print(f"floor: HTTP round trip p50 {floor['http']['p50_ms']:.3f} ms, p99 {floor['http']['p99_ms']:.3f} ms; 64 connections {floor['http_64']['per_second']:.0f}/s")
    print(f"{'function':9} {'spawn':>9} {'cold p50':>10} {'p99':>10} {'ratio':>6}   {'warm p50':>10} {'p99':>10} {'ratio':>6}   {'8 at once':>12}")
    for name, entry in result["functions"].items():
        spawn = floor["spawn"][name]["p50_ms"]
        print(f"{name:9} {spawn:7.1f}ms {entry['cold']['p50_ms']:8.1f}ms {entry['cold']['p99_ms']:8.1f}ms {entry['cold']['p50_ms'] / spawn:6.2f}   "
              f"{entry['warm']['p50_ms']:8.3f}ms {entry['warm']['p99_ms']:8.3f}ms {entry['warm']['p50_ms'] / floor['http']['p50_ms']:6.2f}   "
              f"{entry['warm_8']['per_second']:10.0f}/s")
    print(f"written to {output.relative_to(ROOT) if output.is_relative_to(ROOT) else output}")


main()
