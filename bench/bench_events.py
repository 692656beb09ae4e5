"""What the queues cost: messages a second beside the raw engine with the same batches, and the cost of a message as a backlog grows.

    make bench-events           # tables on the terminal, bench/results/events.json, bench/results/backlog.svg
    .venv/bin/python bench/bench_events.py --messages 20000 --repetitions 5 --backlog 1000000
"""

import argparse
import json
import pathlib
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
OPERATIONS = ("publish", "lease", "acknowledge")


def rates_table(rates):
    print(f"{'bytes':>6} {'callers':>8} {'operation':>12} {'floor/s':>9} {'port/s':>9} {'least':>9} {'most':>9} {'ratio':>6}")
    for row in rates:
        for name in OPERATIONS:
            floor, port = row["floor"][name], row["port"][name]
            print(
                f"{row['bytes']:>6} {row['callers']:>8} {name:>12} {floor['median']:>9} {port['median']:>9} {port['least']:>9}"
                f" {port['most']:>9} {port['median'] / floor['median']:>6.2f}"
            )


def backlog_table(backlog):
    print(f"\n{'':>6} {'backlog':>9} {'us/message':>11} {'counts us':>10} {'memory MB':>10}")
    for phase in ("send", "drain"):
        for row in backlog[phase]:
            print(
                f"{phase:>6} {row['backlog']:>9} {row['microseconds_per_message']:>11.2f} {row['counts_microseconds']:>10.1f}"
                f" {row['memory_mb']:>10.1f}"
            )
    print(f"resident with the whole backlog: {backlog['resident_mb']} MB; opening it: {backlog['open_seconds']} s")


def plot(backlog):
    """Microseconds for each message over the backlog, as an SVG of two lines."""
    width, height, left, bottom = 720, 360, 60, 40
    most_x = max(row["backlog"] for row in backlog["send"])
    most_y = 1.2 * max(row["microseconds_per_message"] for phase in ("send", "drain") for row in backlog[phase])

    def at(row):
        x = left + row["backlog"] / most_x * (width - left - 20)
        y = height - bottom - row["microseconds_per_message"] / most_y * (height - bottom - 20)
        return f"{x:.1f},{y:.1f}"

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" font-size="12">',
        '<rect width="100%" height="100%" fill="white"/>',
        f'<path d="M{left},20 V{height - bottom} H{width - 20}" fill="none" stroke="black"/>',
    ]
    for i in range(5):
        y = height - bottom - i / 4 * (height - bottom - 20)
        x = left + i / 4 * (width - left - 20)
        parts.append(f'<text x="{left - 8}" y="{y + 4:.1f}" text-anchor="end">{most_y * i / 4:.0f}</text>')
        parts.append(f'<text x="{x:.1f}" y="{height - bottom + 18}" text-anchor="middle">{most_x * i // 4:,}</text>')
    for phase, colour, y in (("send", "#1f6feb", 32), ("drain", "#d1242f", 48)):
        points = " ".join(at(row) for row in backlog[phase])
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts.append(f'<text x="{width - 24}" y="{y}" text-anchor="end" fill="{colour}">{phase}</text>')
    parts.append(f'<text x="{left + 8}" y="32">microseconds a message, over the messages that are held</text></svg>')
    return "\n".join(parts) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=10_000)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--backlog", type=int, default=1_000_000)
    parser.add_argument("--program", default=str(ROOT / "build/release/bench/mayfly_queue_bench"))
    parser.add_argument("--results", type=pathlib.Path, default=ROOT / "bench/results")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        numbers = (arguments.messages, arguments.repetitions, arguments.backlog)
        command = [arguments.program, folder, *map(str, numbers)]
        results = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    rates_table(results["rates"])
    backlog_table(results["backlog"])
    arguments.results.mkdir(parents=True, exist_ok=True)
    (arguments.results / "events.json").write_text(json.dumps(results, indent=1) + "\n")
    (arguments.results / "backlog.svg").write_text(plot(results["backlog"]))


if __name__ == "__main__":
    main()
