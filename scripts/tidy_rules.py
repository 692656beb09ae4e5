"""House rules that no compiler checks: layers, Asio's and Beast's home, statements with co_await, clocks and sleeps."""

import pathlib
import re
import subprocess
import sys

# What a layer may include, besides itself. Nothing below services knows an AWS shape.
LAYERS = {
    "base": [],
    "http": ["base"],
    "scan": ["base"],
    "store": ["base"],
    "sandbox": ["base"],
    "observe": ["base", "dispatch/invocation.h"],
    "dispatch": ["base", "http", "sandbox", "observe"],
    "delivery": ["base", "store", "observe"],
    "pattern": ["base"],
    "schedule": ["base"],
    "identity": ["base"],
    "vault": ["base", "identity", "store"],
    "aws": ["base", "http"],
    "gateway": ["base", "http", "identity", "delivery/breaker.h"],
    "services": ["base", "http", "aws", "store", "dispatch", "delivery", "pattern", "schedule", "sandbox", "observe", "identity", "vault", "gateway"],
    "cli": ["base", "http", "aws", "identity", "sandbox", "scan"],
    "app": ["base", "http", "aws", "store", "dispatch", "delivery", "pattern", "schedule", "sandbox", "observe", "identity", "vault", "gateway", "services", "cli", "scan"],
}
ASIO_HOMES = ("src/base/async.cpp", "src/base/asio_impl.cpp", "src/http/", "src/sandbox/", "src/dispatch/output_pipe.cpp")
TIME_HOMES = ("src/base/clock.cpp", "src/cli/")

problems = []
files = subprocess.run(["git", "ls-files", "src/*.cpp", "src/*.h"], capture_output=True, text=True, check=True).stdout.split()
for name in files:
    text = pathlib.Path(name).read_text()
    lines = text.splitlines()
    layer = name.split("/")[1]
    test = name.endswith("_test.cpp")
    if len(lines) > (900 if test else 600):
        problems.append(f"{name}: {len(lines)} lines; split it")
    for number, line in enumerate(lines, 1):
        where = f"{name}:{number}"
        include = re.match(r'#include "([^"]+)"', line)
        if include:
            target = include.group(1)
            top = target.split("/")[0]
            if top in LAYERS and top != layer and top not in LAYERS[layer] and target not in LAYERS[layer] and not test:
                problems.append(f"{where}: layer {layer} must not include {target}")
        if re.match(r"#include <boost/(asio|beast)", line) and "asio/awaitable.hpp" not in line:
            if not name.startswith(ASIO_HOMES):
                problems.append(f"{where}: Asio and Beast stay in base/async.cpp, http, sandbox and dispatch/output_pipe.cpp")
        code = line.split("//")[0]
        if re.search(r"(system_clock|steady_clock)::now\(\)|this_thread::sleep|\busleep\(|\bnanosleep\(", code):
            if not name.startswith(TIME_HOMES):
                problems.append(f"{where}: time comes from a Clock")
        if "co_await" in code and re.search(r"co_await[^;]*(\[[^\]]*=[^\]]*\]\s*\(|\s\?\s)", code):
            problems.append(f"{where}: name captures and ?: on the line before a co_await")

for problem in problems:
    print(problem)
sys.exit(1 if problems else 0)
