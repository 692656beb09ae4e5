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
import json
import os
import pathlib
import platform
import re
import shutil
import subprocess
import sys
import threading
import time

from measure import BODY, FUNCTIONS, PAUSE, PROGRAMS, ROOT, Server, build_functions, cpu_ms, relay, spread, timed, wrk

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
    build_functions()
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


if __name__ == "__main__":
    main()
