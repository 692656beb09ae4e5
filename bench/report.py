"""What was measured as rows (figure, floor, ratio, goal), on the terminal, as Markdown, and the growth as plots."""

import math

GOALS = {"python": 0.35, "nodejs": 0.2}
NAMES = {"native": "native", "python": "Python", "nodejs": "Node.js"}


def rows(result):
    """(what, figure, floor, unit, goal, at least): `at least` where the ratio is to be large; goal None where there is none."""
    floor, functions, found = result["floor"], result["functions"], []

    def row(what, figure, least, unit="ms", goal=None, at_least=False):
        found.append((what, figure, least, unit, goal, at_least))

    for kind, entry in functions.items():
        name = NAMES[kind]
        if "warm" in entry:
            row(f"warm, {name}, p50; floor: relay", entry["warm"]["p50_ms"], floor["relay"]["p50_ms"], goal=1.5 if kind == "native" else 2)
            row(f"warm, {name}, p99; floor: relay's p99", entry["warm"]["p99_ms"], floor["relay"]["p99_ms"], goal=3 if kind == "native" else None)
        if "official" in entry:
            row("warm, Node.js with AWS's own client; floor: with Mayfly's", entry["official"]["p50_ms"], entry["warm"]["p50_ms"], goal=2, at_least=True)
    for kind, entry in functions.items():
        if "warm_64" in entry:
            row(f"no-op invocations a second, {NAMES[kind]}, 64 connections; floor: HTTP server", entry["warm_64"]["per_second"],
                floor["http_64"]["per_second"], "1/s", 0.5 if kind == "native" else None, True)
    if "relay_64" in floor:
        row("the same, native; floor: relay, 64 clients", functions["native"]["warm_64"]["per_second"], floor["relay_64"]["per_second"], "1/s")
    for kind, entry in functions.items():
        name = NAMES[kind]
        if "cold_ready" not in entry:
            continue
        spawn = floor["spawn_ready"][kind]["p50_ms"]
        if kind == "native":
            row("cold, native, a sandbox ready; floor: spawn and round trip", entry["cold_ready"]["p50_ms"], spawn + floor["round_trip"][kind]["p50_ms"], goal=2)
            continue
        row(f"cold, {name}, a sandbox ready; floor: bare interpreter", entry["cold_ready"]["p50_ms"], spawn, goal=GOALS[kind])
        if "cold_bundle_100" in entry:
            row("cold, Node.js, bundle of 100 KB, second of a version; floor: bare interpreter", entry["cold_bundle_100"]["p50_ms"], spawn, goal=0.2)
            for size in (100, 1000):
                row(f"the same, bundle of {size} KB; floor: compiled anew", entry[f"cold_bundle_{size}"]["p50_ms"],
                    entry[f"cold_bundle_{size}_compiled_anew"]["p50_ms"])
        if "native" in functions:
            bare = floor["spawn_empty"][kind]["p50_ms"] + functions["native"]["cold_empty"]["p50_ms"]
            row(f"cold, {name}, none ready; floor: bare interpreter + bare sandbox", entry["cold_empty"]["p50_ms"], bare, goal=1.3)
    if "snap_start" in result:
        snap = result["snap_start"]
        row("cold, Python, imports of 300 ms, SnapStart; floor: without", snap["restored"]["p50_ms"], snap["plain"]["p50_ms"], goal=0.05)
        row("8 of these at once, one at rest: median; floor: without", snap["burst_ms"], snap["burst_plain_ms"])
    if "burst" in result:
        burst = result["burst"]
        row(f"{burst['samples']} Python functions cold at once, p99; floor: CPU / cores", burst["p99_ms"], burst["cpu_ms"] / result["machine"]["cpus"], goal=4)
    if "memory" in result:
        memory = result["memory"]
        row("daemon's memory, idle; goal: 40 MiB", memory["idle_mb"], 40, "MiB", 1)
        row(f"{memory['functions']} deployed functions; goal: 20 MiB for 10,000", memory["functions_mb"], 20 * memory["functions"] / 10000, "MiB", 1)
        row("cold start with them, Python; floor: without", memory["cold_after"]["p50_ms"], memory["cold_before"]["p50_ms"], goal=1.1)
        row("an idle instance besides its process; goal: 1 MiB", memory["instance_mb"], 1, "MiB", 1)
    return found


def verdict(ratio, goal, at_least):
    if goal is None:
        return ""
    met = ratio >= goal if at_least else ratio <= goal
    return f"{goal:g}" + (" or more" if at_least else "") + ("" if met else ", not met")


def markdown(result):
    lines = ["| what | figure | floor | ratio | goal |", "|---|---|---|---|---|"]
    for what, figure, least, unit, goal, at_least in rows(result):
        digits = 0 if unit == "1/s" else 3 if figure < 1 else 1
        lines.append(f"| {what} | {figure:,.{digits}f} {unit} | {least:,.{digits}f} {unit} | {figure / least:.2f} | {verdict(figure / least, goal, at_least)} |")
    return "\n".join(lines) + "\n"


def show(result):
    print(f"{'what (p50 unless said)':78} {'figure':>14} {'floor':>14} {'ratio':>7}   goal")
    for what, figure, least, unit, goal, at_least in rows(result):
        print(f"{what:78} {figure:9.3f} {unit:4} {least:9.3f} {unit:4} {figure / least:7.2f}   {verdict(figure / least, goal, at_least)}")
    for kind, entry in result["functions"].items():
        for key in ("cold_ready", "cold_empty"):
            if key in entry:
                parts = ", ".join(f"{name} {value:.2f}" if isinstance(value, float) else f"{name} {value}"
                                  for name, value in entry[key]["phases"].items())
                print(f"{kind} {key}: p50 {entry[key]['p50_ms']:.2f} ms, p99 {entry[key]['p99_ms']:.2f} ms; mean ms of each phase: {parts}")


def plot(title, label_x, label_y, points):
    """An SVG of one line on two logarithmic axes."""
    width, height, left, bottom = 560, 320, 70, 50
    logs = [(math.log10(x), math.log10(y)) for x, y in points]
    low_x, high_x = min(x for x, _ in logs), max(x for x, _ in logs)
    low_y, high_y = math.floor(min(y for _, y in logs)), math.ceil(max(y for _, y in logs))
    high_y = max(high_y, low_y + 1)

    def place(x, y):
        return (left + (x - low_x) / (high_x - low_x or 1) * (width - left - 20), height - bottom - (y - low_y) / (high_y - low_y) * (height - bottom - 40))

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" font-size="12">',
           f'<rect width="{width}" height="{height}" fill="white"/>', f'<text x="{width / 2}" y="20" text-anchor="middle" font-size="14">{title}</text>']
    for power in range(low_y, high_y + 1):
        _, y = place(low_x, power)
        out.append(f'<line x1="{left}" x2="{width - 20}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/><text x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{10 ** power:g}</text>')
    for (x, _), (value, _) in zip(logs, points):
        at, _ = place(x, low_y)
        out.append(f'<text x="{at:.1f}" y="{height - bottom + 18}" text-anchor="middle">{value:,}</text>')
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*log) for log in logs))
    out.append(f'<polyline points="{path}" fill="none" stroke="#06c" stroke-width="2"/>')
    out += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="#06c"/>' for x, y in (place(*log) for log in logs)]
    out.append(f'<text x="{(width + left) / 2}" y="{height - 10}" text-anchor="middle">{label_x}</text>')
    out.append(f'<text transform="translate(16 {height / 2}) rotate(-90)" text-anchor="middle">{label_y}</text></svg>')
    return "\n".join(out) + "\n"


def plots(result):
    growth = result.get("growth", {})

    def series(name, figure):
        return [(int(x), entry[figure]) for x, entry in growth[name].items()]

    wanted = {
        "payload": ("One warm invocation, native, by the size of its event", "bytes", "p50, ms", "p50_ms"),
        "connections": ("No-op invocations, native, by connections", "connections", "invocations a second", "per_second"),
        "instances": ("One warm invocation, native, by idle instances of other functions", "instances", "p50, ms", "p50_ms"),
        "functions": ("One warm invocation, Python, by deployed functions", "functions", "p50, ms", "p50_ms"),
    }
    return {f"{name}.svg": plot(title, x, y, series(name, figure)) for name, (title, x, y, figure) in wanted.items() if name in growth}
