"""Cold and warm invokes of functions that do nothing, each figure beside its floor on the same machine in the same run.

    make bench                      # table on the terminal; bench/results/: bench.json, table.md, plots
    .venv/bin/python bench/bench.py --seconds 10 --cold 50
    .venv/bin/python bench/bench.py --only warm,burst
    .venv/bin/python bench/bench.py --only warm --official DIR    # DIR of tests/official/build.sh: AWS's own Node.js client, too

Parts (parts.py): "warm" (wrk repeats one signed request; the floor is relay.cpp), "snapstart" (first invocations of published versions), "cold" (one invocation after each change of the
configuration, with ready sandboxes and, from a server that keeps none, without), "burst" (many different functions cold at once),
"memory", "growth". Medians; what the numbers are made of is in docs/performance.md. No assertion on time.
"""

import argparse
import json
import os
import pathlib
import platform
import shutil
import sys

import report
from measure import ROOT, build_functions
from parts import PARTS


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, default=3, help="of each warm measurement")
    parser.add_argument("--repeat", type=int, default=3, help="rounds of the warm measurements")
    parser.add_argument("--cold", type=int, default=20, help="cold starts of each function")
    parser.add_argument("--burst", type=int, default=100, help="functions that start at once")
    parser.add_argument("--functions", type=int, default=10000, help="deployed functions whose memory is measured")
    parser.add_argument("--official", help="folder with nodejs.zip, a function with AWS's own Node.js client")
    parser.add_argument("--only", default=",".join(PARTS))
    parser.add_argument("--output", default=str(ROOT / "bench/results"))
    arguments = parser.parse_args()
    if not shutil.which("wrk"):
        sys.exit("bench: wrk is missing; apt-get install wrk")
    build_functions()
    result = {"machine": {"kernel": platform.release(), "cpus": os.cpu_count()}, "floor": {}, "functions": {}}
    for part in arguments.only.split(","):
        print(f"bench: {part} ...", file=sys.stderr, flush=True)
        PARTS[part](arguments, result)
    output = pathlib.Path(arguments.output)
    output.mkdir(parents=True, exist_ok=True)
    (output / "bench.json").write_text(json.dumps(result, indent=2) + "\n")
    (output / "table.md").write_text(report.markdown(result))
    for name, text in report.plots(result).items():
        (output / name).write_text(text)
    report.show(result)
    print(f"written to {output.relative_to(ROOT) if output.is_relative_to(ROOT) else output}")


if __name__ == "__main__":
    main()
