"""Where the time of a warm invocation goes: processor time of the client, the server and the functions; then in the server a sampled
profile, by function with what it calls, and system calls counted.

    make profile                                          # one connection, the native function that does nothing
    .venv/bin/python bench/profile.py --kind python --connections 64

Uses perf (linux-perf) with the processor's clock, as virtual machines often have no cycle counters, and strace for the calls.
"""

import argparse
import collections
import contextlib
import os
import pathlib
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from measure import BODY, FUNCTIONS, Server, build_functions, wrk

from parts import children

FREQUENCY = 2500


def stacks(text):
    """Each sample as (function, is it the kernel's) from the inside out."""
    for sample in text.split("\n\n"):
        frames = [match.groups() for match in re.finditer(r"(?m)^\s+([0-9a-f]+) (.*)$", sample)]
        if frames:
            yield [(re.sub(r"<.*", "", name), address.startswith("ffff")) for address, name in frames]


def seconds(pid):
    """Processor time of a process so far: its own code's, the kernel's."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return [int(ticks) / os.sysconf("SC_CLK_TCK") for ticks in fields[11:13]]


def below(pid):
    return [one for child in children(pid) for one in (child, *below(child))]


def split(pid, load):
    """Microseconds of an invocation, own code's and kernel's, by who spends them."""

    def spent():
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        found = {"client": [usage.ru_utime, usage.ru_stime], "server": seconds(pid)}
        for one in below(pid):
            with contextlib.suppress(OSError):  # it has ended
                found[one] = seconds(one)
        return found

    before, done, after = spent(), load(), spent()
    each = {who: [(after[who][i] - before[who][i]) / done * 1e6 for i in (0, 1)] for who in before if who in after}
    functions = [each.pop(who) for who in list(each) if isinstance(who, int)]
    return {**each, "functions": [sum(column) for column in zip(*functions)]}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--kind", choices=FUNCTIONS, default="native")
    parser.add_argument("--connections", type=int, default=1)
    parser.add_argument("--lines", type=int, default=60)
    arguments = parser.parse_args()
    for program in ("perf", "strace", "wrk"):
        if not shutil.which(program):
            sys.exit(f"profile: {program} is missing; apt-get install linux-perf strace wrk")
    build_functions()
    with Server() as server, tempfile.NamedTemporaryFile(suffix=".data") as data, tempfile.NamedTemporaryFile("r") as calls:
        server.create(arguments.kind, arguments.kind)
        server.invoke(arguments.kind)
        path, headers = server.signed(arguments.kind)
        address, pid = server.endpoint + path, str(server.process.pid)
        wrk(address, arguments.connections, 1, headers, BODY)
        shares = split(server.process.pid, lambda: wrk(address, arguments.connections, 3, headers, BODY)["per_second"] * 3)
        perf = subprocess.Popen(["perf", "record", "-F", str(FREQUENCY), "-p", pid, "--call-graph", "dwarf,24000", "-o", data.name, "--", "sleep", "2"],
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        load = wrk(address, arguments.connections, 3, headers, BODY)
        perf.wait()
        strace = subprocess.Popen(["strace", "-f", "-c", "-U", "name,calls", "-o", calls.name, "-p", pid], stderr=subprocess.DEVNULL)
        time.sleep(0.5)
        traced = wrk(address, arguments.connections, 2, headers, BODY)
        strace.send_signal(signal.SIGINT)
        strace.wait()
        script = subprocess.run(["perf", "script", "-i", data.name, "-F", "tid,ip,sym", "--no-inline"], capture_output=True, text=True).stdout
        counted = calls.read()
    samples = list(stacks(script))
    inclusive, entered = collections.Counter(), collections.Counter()
    for sample in samples:
        inclusive.update({name for name, _ in sample})
        if sample[0][1]:
            entered[next((name for name, kernel in sample if not kernel), "?")] += 1
    invocations = load["per_second"] * 2
    print(f"{arguments.kind}, {arguments.connections} connections: {load['per_second']:.0f} a second, p50 {load['p50_ms'] * 1000:.0f} us; "
          f"{len(samples) / FREQUENCY / invocations * 1e6:.0f} us of the server's processor time each")
    print("\nprocessor time of an invocation, us: own code, kernel (without the profiler)")
    for who, (own, kernel) in shares.items():
        print(f"{own:8.1f} {kernel:8.1f}  {who}")
    print("\nsystem calls for an invocation:")
    for name, count in re.findall(r"(?m)^\s*([a-z_0-9]+)\s+(\d+)\s*$", counted):
        if name != "total" and int(count) / (traced["per_second"] * 2) > 0.01:
            print(f"{int(count) / (traced['per_second'] * 2):8.2f}  {name}")
    print("\ntime in the kernel, by the call that led there (% of all):")
    for name, count in entered.most_common(10):
        print(f"{count / len(samples) * 100:7.2f}  {name}")
    print("\ntime in a function and what it calls (% of all):")
    for name, count in inclusive.most_common(arguments.lines):
        print(f"{count / len(samples) * 100:7.2f}  {name[:120]}")


if __name__ == "__main__":
    main()
