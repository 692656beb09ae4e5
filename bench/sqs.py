"""Messages a second through the SQS API: batches of ten of 256 bytes are sent, received and deleted over HTTP, each request signed.

The server has one processor and the load generator the others, where there are several. --peer names another SQS endpoint (host:port,
credentials bench/bench-secret) to measure beside it in the same run.

    scripts/build release mayfly sqs_load
    .venv/bin/python bench/sqs.py --seconds 10 --connections 16
"""

import argparse
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile

import boto3
import botocore.config

ROOT = pathlib.Path(__file__).resolve().parents[1]


def on_processors(command, processors):
    return ["taskset", "-c", processors] + command if shutil.which("taskset") and os.cpu_count() > 1 else command


def load(arguments, port, mode):
    client = boto3.client("sqs", endpoint_url=f"http://127.0.0.1:{port}", region_name="us-east-1", aws_access_key_id="bench",
                          aws_secret_access_key="bench-secret", config=botocore.config.Config(retries={"max_attempts": 0}))
    url = client.create_queue(QueueName=f"bench-{mode}")["QueueUrl"]
    command = [str(ROOT / arguments.generator), "--queue-url", url, "--port", str(port), "--mode", mode, "--seconds", str(arguments.seconds),
               "--connections", str(arguments.connections), "--body-bytes", str(arguments.body_bytes)]
    rest = f"1-{os.cpu_count() - 1}" if os.cpu_count() > 2 else "1"
    done = subprocess.run(on_processors(command, rest), capture_output=True, text=True)
    if done.returncode not in (0, 1):
        sys.exit(done.stderr)
    client.delete_queue(QueueUrl=url)
    return json.loads(done.stdout)


def row(name, mode, result):
    print(f"{name:10} {mode:6} {result['sent_per_second']:10.0f} {result['deleted_per_second']:12.0f} {result['requests_per_second']:11.0f}"
          f" {result['p50_ms']:8.2f} {result['p99_ms']:8.2f} {result['errors']:7}", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--body-bytes", type=int, default=256)
    parser.add_argument("--generator", default="build/release/sqs_load")
    parser.add_argument("--binary", default=os.environ.get("MAYFLY_BINARY", "build/mayfly"))
    parser.add_argument("--peer", help="port of another SQS endpoint on this machine")
    parser.add_argument("--peer-name", default="peer")
    arguments = parser.parse_args()
    print(f"{'server':10} {'mode':6} {'sent/s':>10} {'deleted/s':>12} {'requests/s':>11} {'p50 ms':>8} {'p99 ms':>8} {'errors':>7}")
    folder = tempfile.mkdtemp(prefix="mayfly-bench-")
    read_end, write_end = os.pipe()
    env = {**{k: v for k, v in os.environ.items() if not k.startswith("MAYFLY_")}, "MAYFLY_ROOT_ACCESS_KEY_ID": "bench", "MAYFLY_ROOT_SECRET_ACCESS_KEY": "bench-secret"}
    command = [str(ROOT / arguments.binary), "serve", "--listen", "127.0.0.1:0", "--data", folder, "--control-fd", str(write_end), "--reactors", "1"]
    server = subprocess.Popen(on_processors(command, "0"), pass_fds=[write_end], env=env, stdout=subprocess.DEVNULL,
                              stderr=open(os.path.join(folder, "log"), "w"))
    os.close(write_end)
    try:
        with os.fdopen(read_end) as control:
            port = json.loads(control.readline())["port"]
        for mode in ("send", "cycle"):
            row("mayfly", mode, load(arguments, port, mode))
            if arguments.peer:
                row(arguments.peer_name, mode, load(arguments, arguments.peer, mode))
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(60)
        shutil.rmtree(folder, ignore_errors=True)


main()
