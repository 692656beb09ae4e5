"""The measurements, one function each; what they find goes into `result` for report.py. Figures that are compared are taken by turns
in one run, so that what else the machine does falls on both."""

import concurrent.futures
import contextlib
import pathlib
import re
import statistics
import subprocess
import threading
import time

from measure import BODY, FUNCTIONS, PAUSE, PROGRAMS, Server, cpu_ms, relay, spread, timed, wrk


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


def cold_once(server, name, number):
    server.client.update_function_configuration(FunctionName=name, Environment={"Variables": {"ROUND": str(number)}})
    server.client.get_waiter("function_updated_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1})
    time.sleep(PAUSE)
    return server.invoke(name)


def cold(server, name, count):
    return spread([cold_once(server, name, i) for i in range(count)])


def bundle(kilobytes):
    """A Node.js module of about that size, as a bundler writes it: many functions of which few are called."""
    function = "function f%d(a, b) { const c = a * %d + b; if (c > 10) return [c, 'text %d', { key: c }]; return f%d(c, b + 1); }\n"
    text, i = "function f0() { return 0; }\n", 1
    while len(text) < kilobytes * 1024:
        text += function % (i, i, i, i - 1)
        i += 1
    return text + f"exports.handler = async () => f{i - 1}(1, 2);\n"


def measure_cold(arguments, result):
    """With ready sandboxes, and from servers that keep none. The kinds go by turns, each on a server of its own: how long the kernel takes
    to put a process into a group depends on what else it has been doing."""
    floor = result["floor"]
    for key, settings in (("ready", ()), ("empty", ("ready_memory_mb=0",))):
        with contextlib.ExitStack() as stack:
            servers = {kind: stack.enter_context(Server(settings)) for kind in FUNCTIONS}
            for kind, server in servers.items():
                server.create(kind, kind)
                server.invoke(kind)
                time.sleep(PAUSE)
                # What the same client needs for a warm invocation after the same pause.
                floor.setdefault("round_trip", {})[kind] = timed(15, lambda: server.invoke(kind))
            samples, spawned = {kind: [] for kind in FUNCTIONS}, {kind: [] for kind in FUNCTIONS}
            spent = dict.fromkeys(FUNCTIONS, 0.0)
            for i in range(arguments.cold):
                for kind, server in servers.items():
                    before = cpu_ms()
                    samples[kind].append(cold_once(server, kind, i))
                    spawned[kind].append(timed(1, lambda: subprocess.run(PROGRAMS[kind], check=True))["p50_ms"])
                    spent[kind] += cpu_ms() - before
            for kind, server in servers.items():
                entry = spread(samples[kind])
                entry["cpu_ms"] = spent[kind] / arguments.cold
                entry["phases"] = phases(server.metrics())
                floor.setdefault(f"spawn_{key}", {})[kind] = spread(spawned[kind])
                result["functions"].setdefault(kind, {})[f"cold_{key}"] = entry
    # The second and later cold starts of one version: an instance is retired after a second, and the next one takes its compiled code.
    # By turns with a server that keeps none.
    for size in (100, 1000):
        with Server(("idle_timeout=1",)) as server, Server(("idle_timeout=1", "code_cache_mb=0")) as anew:
            samples = {server: [], anew: []}
            for one in samples:
                one.create("bundle", "nodejs", code={"index.js": bundle(size)})
                one.invoke("bundle")
            for _ in range(max(10, arguments.cold // 2)):
                time.sleep(1.5)
                for one, found in samples.items():
                    found.append(one.invoke("bundle"))
            result["functions"]["nodejs"][f"cold_bundle_{size}"] = spread(samples[server])
            result["functions"]["nodejs"][f"cold_bundle_{size}_compiled_anew"] = spread(samples[anew])


# Imports that take 300 ms of CPU time, whatever the machine.
SLOW_IMPORTS = """
import json, time
end = time.process_time() + 0.3
while time.process_time() < end:
    json.loads(json.dumps(list(range(1000))))
def handler(event, context):
    return event
"""


def measure_snap_start(arguments, result):
    """First invocations of versions whose imports are slow: initialised when they are published, and the plain way. Then several at once,
    of which only the first finds an instance at rest."""
    with Server() as server:
        for name, apply_on in (("plain", "None"), ("snap", "PublishedVersions")):
            server.create(name, "python", code={"app.py": SLOW_IMPORTS}, SnapStart={"ApplyOn": apply_on})

        def publish(name, number):
            server.client.update_function_configuration(FunctionName=name, Environment={"Variables": {"ROUND": str(number)}})
            server.client.get_waiter("function_updated_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1})
            version = server.client.publish_version(FunctionName=name)["Version"]
            while server.client.get_function_configuration(FunctionName=name, Qualifier=version)["State"] != "Active":
                time.sleep(0.05)
            time.sleep(PAUSE)
            return version

        samples = {"plain": [], "snap": []}
        bursts = {"plain": [], "snap": []}
        for number in range(arguments.cold):
            for name, found in samples.items():
                found.append(server.invoke(name, publish(name, number)))
        for number in range(3):
            for name, found in bursts.items():
                version = publish(name, f"burst-{number}")
                with concurrent.futures.ThreadPoolExecutor(8) as pool:
                    found.append(statistics.median(pool.map(lambda _: server.invoke(name, version), range(8))))
        result["snap_start"] = {"plain": spread(samples["plain"]), "restored": spread(samples["snap"]),
                                "burst_plain_ms": statistics.median(bursts["plain"]), "burst_ms": statistics.median(bursts["snap"])}


def middle(runs):
    """The median of each figure over the runs, and the range of the p50."""
    entry = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
    entry["p50_range_ms"] = [min(run["p50_ms"] for run in runs), max(run["p50_ms"] for run in runs)]
    return entry


# With as many the relay is fastest on two processors (2, 8, 16, 64 tried); more only wait for each other.
RELAY_FUNCTIONS = 8


def measure_warm(arguments, result):
    floor = result["floor"]
    with relay() as url, relay(RELAY_FUNCTIONS) as relay_many, Server() as server:
        targets = {"relay": (url, None, BODY), "http": (server.endpoint + "/_mayfly/health", None, None)}
        for kind in FUNCTIONS:
            server.create(kind, kind)
            server.invoke(kind)
            path, headers = server.signed(kind)
            targets[kind] = (server.endpoint + path, headers, BODY)
        if arguments.official:
            zipped = pathlib.Path(arguments.official) / "nodejs.zip"
            server.create("official", "native", package=zipped.read_bytes(), handler="index.handler")
            server.invoke("official")
            path, headers = server.signed("official")
            targets["official"] = (server.endpoint + path, headers, BODY)
        one = {name: [] for name in targets}
        many = {name: [] for name in targets if name not in ("relay", "official")}
        for name, (address, headers, body) in targets.items():
            wrk(address, 1, 1, headers, body)
        for _ in range(arguments.repeat):
            for name, (address, headers, body) in targets.items():
                one[name].append(wrk(address, 1, arguments.seconds, headers, body))
        many["relay"] = []
        targets["relay"] = (relay_many, None, BODY)
        for name in many:
            address, headers, body = targets[name]
            wrk(address, 64, 2, headers, body)
        for _ in range(arguments.repeat):
            for name in many:
                address, headers, body = targets[name]
                many[name].append(wrk(address, 64, arguments.seconds, headers, body))
    floor["relay"], floor["http"], floor["http_64"] = middle(one["relay"]), middle(one["http"]), middle(many["http"])
    floor["relay_64"] = middle(many["relay"])
    for kind in FUNCTIONS:
        entry = result["functions"].setdefault(kind, {})
        entry["warm"], entry["warm_64"] = middle(one[kind]), middle(many[kind])
    if "official" in one:
        result["functions"].setdefault("nodejs", {})["official"] = middle(one["official"])


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


def resident_mb(pid):
    return int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text()).group(1)) / 1024


def children(pid):
    found = []
    for thread in pathlib.Path(f"/proc/{pid}/task").iterdir():
        try:
            found += [int(child) for child in (thread / "children").read_text().split()]
        except OSError:
            continue
    return found


def proportional_mb(pid):
    text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(re.search(r"Pss:\s+(\d+)", text).group(1)) / 1024


def create_many(server, names, kind="native"):
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: server.create(name, kind, wait=False), names))


def measure_memory(arguments, result):
    """The daemon idle, with many deployed functions, and what an idle instance takes besides its own process."""
    memory = result["memory"] = {}
    with Server() as server:
        pid = server.process.pid
        server.create("first", "native")
        server.invoke("first")
        memory["idle_mb"] = resident_mb(pid)
        names = [f"idle-{i}" for i in range(20)]
        create_many(server, names)
        time.sleep(1)
        before = resident_mb(pid)
        for name in names:
            server.invoke(name)
        time.sleep(1)
        (launcher,) = children(pid)
        inits = [init for init in children(launcher) if children(init)]
        memory["instance_mb"] = (resident_mb(pid) - before) / len(names) + statistics.median(proportional_mb(init) for init in inits)
    with Server() as server:
        pid = server.process.pid
        server.create("python", "python")
        server.invoke("python")
        memory["cold_before"] = cold(server, "python", 10)
        before, deployed, spent = resident_mb(pid), 0, 0.0
        growth = result.setdefault("growth", {})["functions"] = {}
        for count in sorted({10, 100, 1000, arguments.functions}):
            if count > arguments.functions:
                continue
            started = time.perf_counter()
            create_many(server, [f"deployed-{i}" for i in range(deployed, count)], "python")
            spent, deployed = spent + time.perf_counter() - started, count
            time.sleep(2)
            path, headers = server.signed("python")
            wrk(server.endpoint + path, 1, 1, headers, BODY)
            growth[count] = wrk(server.endpoint + path, 1, 2, headers, BODY)
        memory["deploy_ms"] = spent * 1000 / arguments.functions
        memory["functions"] = arguments.functions
        memory["functions_mb"] = resident_mb(pid) - before
        memory["cold_after"] = cold(server, "python", 10)


def measure_growth(arguments, result):
    """Cost against payload, connections and instances."""
    growth = result.setdefault("growth", {})
    growth.update({"payload": {}, "connections": {}, "instances": {}})
    # The budget counts what functions may take: without a larger one, idle instances would make room for each other.
    with Server(("memory_budget_mb=2000000",)) as server:
        server.create("native", "native")
        server.invoke("native")
        for size in (1 << 10, 10 << 10, 100 << 10, 1 << 20, 6_000_000):
            body = b'"' + b"x" * (size - 2) + b'"'
            path, headers = server.signed("native", body)
            growth["payload"][size] = wrk(server.endpoint + path, 1, 2, headers, body)
        path, headers = server.signed("native")
        for connections in (1, 2, 4, 8, 16, 32, 64, 128, 256):
            wrk(server.endpoint + path, connections, 1, headers, BODY)
            growth["connections"][connections] = wrk(server.endpoint + path, connections, 2, headers, BODY)
        have = 1
        for count in (1, 10, 50, 100, 200, 500):
            names = [f"instance-{i}" for i in range(have, count)]
            create_many(server, names)
            for name in names:
                server.invoke(name)
            have = count
            there = int(float(re.search(r'mayfly_instances{state="idle"} (\S+)', server.metrics()).group(1)))
            assert there >= count, f"{there} instances are idle instead of {count}"
            growth["instances"][count] = wrk(server.endpoint + path, 1, 2, headers, BODY)


PARTS = {"cold": measure_cold, "snapstart": measure_snap_start, "warm": measure_warm, "burst": measure_burst, "memory": measure_memory, "growth": measure_growth}
