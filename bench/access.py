"""What it costs to know who calls and whether they may, and to find a route, as users, keys, policies and routes grow.

    make bench-access      # a table on the terminal, bench/results/access.json, bench/results/access-*.svg
"""

import argparse
import json
import pathlib
import subprocess

from report import plot

ROOT = pathlib.Path(__file__).resolve().parents[1]
FIGURES = {"signature": "signature (SigV4)", "decision": "decision", "both": "both", "route": "route"}
TITLES = {"both": ("Signature and decision of one request", "users, each with a key and a policy of its own"), "route": ("Finding one route", "routes")}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--program", default=str(ROOT / "build/release/bench/mayfly_access_bench"))
    parser.add_argument("--results", type=pathlib.Path, default=ROOT / "bench/results")
    arguments = parser.parse_args()
    measured = subprocess.run([arguments.program, str(arguments.requests)], capture_output=True, text=True, check=True)
    rows = json.loads(measured.stdout)

    print("us, median (least to most)")
    print(f"{'users or routes':>16}" + "".join(f" {title:>26}" for title in FIGURES.values()))
    for row in rows:
        cells = (f"{row[name]['median']:.2f} ({row[name]['least']:.2f} to {row[name]['most']:.2f})" for name in FIGURES)
        print(f"{row['size']:>16,}" + "".join(f" {cell:>26}" for cell in cells))

    arguments.results.mkdir(parents=True, exist_ok=True)
    (arguments.results / "access.json").write_text(json.dumps(rows, indent=1) + "\n")
    for name, (title, label) in TITLES.items():
        points = [(row["size"], row[name]["median"]) for row in rows]
        (arguments.results / f"access-{name}.svg").write_text(plot(title, label, "microseconds", points))


if __name__ == "__main__":
    main()
