"""Replays recorded AWS calls against a fresh server and prints a table per service, with the reason of each case that does not pass.

The recordings are not part of this repository: MAYFLY_CONFORMANCE_DIR names their folder (default ../shared/conformance beside the
checkout). Cases whose archives are not carried are replayed with the functions here where any package will do, and skipped otherwise.
"""

import argparse
import collections
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDER = pathlib.Path(os.environ.get("MAYFLY_CONFORMANCE_DIR", ROOT.parent / "shared/conformance"))
# Where the recordings' archives expect their files.
SOURCES = "tests/aws/services/lambda_/functions"
# Services that a case of another service may call: where they are not here yet, the case cannot pass.
IMPLEMENTED = {"lambda"}
ROLE = "arn:aws:iam::111111111111:role/recorded"


def services_of(case):
    body = [s for s in case["steps"] if s["n"] < case["body_to"]]
    return {s["service"] for s in body if "service" in s and "operation" in s}


def with_roles(node):
    """The recordings do not carry the role that each test made first; any role will do."""
    if isinstance(node, list):
        return [with_roles(x) for x in node]
    if not isinstance(node, dict):
        return node
    return {key: ROLE if key == "Role" and isinstance(value, dict) and "$ref" in value else with_roles(value) for key, value in node.items()}


def start_server(folder):
    read_end, write_end = os.pipe()
    env = {**os.environ, "MAYFLY_ROOT_ACCESS_KEY_ID": "test", "MAYFLY_ROOT_SECRET_ACCESS_KEY": "test"}
    command = [str(ROOT / "build/mayfly"), "serve", "--listen", "127.0.0.1:0", "--data", folder + "/data", "--control-fd", str(write_end)]
    process = subprocess.Popen(command, env=env, pass_fds=[write_end], stdout=subprocess.DEVNULL, stderr=open(folder + "/log", "w"))
    os.close(write_end)
    with os.fdopen(read_end) as control:
        return process, json.loads(control.readline())["endpoint"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("services", nargs="*", default=["lambda"])
    parser.add_argument("--only", help="a part of a case's name")
    parser.add_argument("--json", help="write every verdict to this file")
    arguments = parser.parse_args()
    replay = FOLDER / "tools/replay.py"
    if not replay.exists():
        print(f"SKIPPED: no recordings in {FOLDER}; set MAYFLY_CONFORMANCE_DIR")
        return 0
    sources = tempfile.mkdtemp(prefix="mayfly-conformance-")
    functions = pathlib.Path(sources) / SOURCES
    functions.mkdir(parents=True)
    for path in (ROOT / "tests/conformance/functions").iterdir():
        (functions / path.name).write_bytes(path.read_bytes())
    verdicts_of = {}
    for service in arguments.services:
        process, endpoint = start_server(tempfile.mkdtemp(prefix="mayfly-conformance-"))
        recorded = json.load(open(FOLDER / f"aws-traces/{service}.json"))
        for case in recorded["cases"]:
            case["steps"] = with_roles(case["steps"])
        trace = pathlib.Path(sources) / f"{service}-trace.json"
        trace.write_text(json.dumps(recorded))
        verdict_file = pathlib.Path(sources) / f"{service}.json"
        command = [sys.executable, str(replay), "--endpoint", endpoint, "--src", sources, "--json", str(verdict_file), "--timeout", "20",
                   "--poll", "3", "--max-sleep", "3", str(trace)]
        if arguments.only:
            command += ["--only", arguments.only]
        subprocess.run(command, check=False, stdout=subprocess.DEVNULL)
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        verdicts_of[service] = json.loads(verdict_file.read_text())
    print(f"{'service':12} {'cases':>6} {'replayed':>9} {'passed':>7} {'rate':>6}")
    for service, verdicts in verdicts_of.items():
        cases = {c["id"]: c for c in json.load(open(FOLDER / f"aws-traces/{service}.json"))["cases"]}
        counts = collections.Counter()
        rows = []
        for verdict in verdicts:
            others = services_of(cases[verdict["id"]]) - IMPLEMENTED - {"logs"}
            kind = verdict["verdict"]
            if kind == "error" and "No such file" in verdict["why"][0]:
                kind = "skip"  # A function whose source is not carried.
            if kind != "skip" and kind != "pass" and others:
                kind, verdict["why"] = "needs", ["needs " + ", ".join(sorted(others))]
            counts[kind] += 1
            if kind != "pass" and kind != "skip":
                rows.append(f"  {kind:6} {verdict['id'].split('::', 1)[-1]}: {'; '.join(verdict['why'][:2])[:300]}")
        replayed = counts["pass"] + counts["fail"] + counts["error"]
        print(f"{service:12} {len(verdicts):6} {replayed:9} {counts['pass']:7} {100 * counts['pass'] / max(1, replayed):5.1f}%"
              f"   ({counts['skip']} skipped for archives, {counts['needs']} need other services)")
        print("\n".join(rows))
    if arguments.json:
        pathlib.Path(arguments.json).write_text(json.dumps(verdicts_of, indent=1))
    return 0


sys.exit(main())
