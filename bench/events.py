"""What firing costs end to end: from PutEvents to a handler's first line beside a synced commit, and a million schedules.

    .venv/bin/python bench/events.py latency              # milliseconds, and the disk's own floor in the same run
    .venv/bin/python bench/events.py schedules --count 1000000

The schedules are written into the store of a stopped server as copies of one that the API made; what is measured is the next start.
"""

import argparse
import json
import os
import pathlib
import shutil
import signal
import sqlite3
import statistics
import subprocess
import tempfile
import time
import zipfile
import io

import boto3
import botocore.config

ROOT = pathlib.Path(__file__).resolve().parents[1]
HANDLER = "import time\ndef handler(event, context):\n    now = time.time()\n    print('AT', event['detail']['n'], repr(now))\n"
FUNCTION = "arn:aws:lambda:us-east-1:000000000000:function:at"


class Server:
    def __init__(self, binary, folder):
        self.binary, self.folder = binary, folder

    def start(self):
        read_end, write_end = os.pipe()
        env = {k: v for k, v in os.environ.items() if not k.startswith("MAYFLY_")}
        env |= {"MAYFLY_ROOT_ACCESS_KEY_ID": "bench", "MAYFLY_ROOT_SECRET_ACCESS_KEY": "bench-secret"}
        began = time.monotonic()
        self.process = subprocess.Popen([self.binary, "serve", "--listen", "127.0.0.1:0", "--data", self.folder + "/data", "--control-fd", str(write_end)],
                                        env=env, pass_fds=[write_end], stdout=subprocess.DEVNULL, stderr=open(self.folder + "/log", "a"))
        os.close(write_end)
        with os.fdopen(read_end) as control:
            self.endpoint = json.loads(control.readline())["endpoint"]
        return time.monotonic() - began

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(120)

    def client(self, service):
        return boto3.client(service, endpoint_url=self.endpoint, region_name="us-east-1", aws_access_key_id="bench", aws_secret_access_key="bench-secret",
                            config=botocore.config.Config(retries={"max_attempts": 0}))

    def resident_mb(self):
        pages = int(pathlib.Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGESIZE") / 1e6

    def cpu_seconds(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def floor_database(folder):
    db = sqlite3.connect(folder + "/floor.db", isolation_level=None)
    for line in ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL", "CREATE TABLE t (a)"):
        db.execute(line)
    return db


def commits(db, times):
    """A row in a transaction of its own, synced, by SQLite as the server uses it."""
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        db.execute("INSERT INTO t VALUES (zeroblob(400))")
        taken.append((time.perf_counter() - began) * 1e3)
    return taken


def spread(values):
    values = sorted(values)
    return f"median {statistics.median(values):.2f}, p10 {values[len(values) // 10]:.2f}, p90 {values[len(values) * 9 // 10]:.2f} ms"


def printed(server):
    folder = pathlib.Path(server.folder) / "data/logs/%2Faws%2Flambda%2Fat"
    text = "".join(path.read_text() for path in sorted(folder.glob("*.log"))) if folder.exists() else ""
    found = (json.loads(line)["m"].split() for line in text.splitlines() if '"AT ' in line)
    return {int(words[1]): float(words[2]) for words in found}


def latency(server, arguments):
    server.start()
    functions, events = server.client("lambda"), server.client("events")
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("app.py", HANDLER)
    functions.create_function(FunctionName="at", Runtime="python3.11", Handler="app.handler", Role="arn:aws:iam::000000000000:role/bench",
                              Code={"ZipFile": archive.getvalue()})
    functions.get_waiter("function_active_v2").wait(FunctionName="at", WaiterConfig={"Delay": 1})
    functions.add_permission(FunctionName="at", StatementId="rules", Action="lambda:InvokeFunction", Principal="events.amazonaws.com")
    events.put_rule(Name="r", EventPattern='{"source": ["bench"]}')
    events.put_targets(Rule="r", Targets=[{"Id": "f", "Arn": FUNCTION}])
    db = floor_database(server.folder)
    sent, answered, direct, floor = {}, [], [], []
    for n in range(arguments.count):
        floor += commits(db, 5)
        sent[n] = time.time()
        events.put_events(Entries=[{"Source": "bench", "DetailType": "t", "Detail": json.dumps({"n": n})}])
        answered.append((time.time() - sent[n]) * 1e3)
        while n not in printed(server):
            time.sleep(0.01)
        began = time.time()
        functions.invoke(FunctionName="at", Payload=json.dumps({"detail": {"n": -1 - n}}))
        while -1 - n not in printed(server):
            time.sleep(0.01)
        direct.append((printed(server)[-1 - n] - began) * 1e3)
    got = printed(server)
    warm = range(arguments.count // 10, arguments.count)  # the first ones start instances
    print(f"a synced commit (floor):                {spread(floor)}")
    print(f"PutEvents, until it is answered:        {spread([answered[n] for n in warm])}")
    print(f"PutEvents, until the handler runs:      {spread([(got[n] - sent[n]) * 1e3 for n in warm])}")
    print(f"Invoke, until the handler runs:         {spread([direct[n] for n in warm])}")


def copies(folder, count):
    """Copies of the one schedule in the store, under names of their own."""
    db = sqlite3.connect(folder + "/data/store/store.db")
    [(key, value)] = db.execute("SELECT key, value FROM entries WHERE CAST(key AS TEXT) LIKE '%seed-000000%'").fetchall()
    revision = db.execute("SELECT value FROM meta WHERE name = 'revision'").fetchone()[0]
    rows = ((key.replace(b"seed-000000", b"seed-%06d" % n), value.replace(b"seed-000000", b"seed-%06d" % n), revision + n) for n in range(1, count))
    db.executemany("INSERT INTO entries (key, value, revision) VALUES (?, ?, ?)", rows)
    db.execute("UPDATE meta SET value = ? WHERE name = 'revision'", (revision + count,))
    db.commit()
    db.close()


def schedules(server, arguments):
    server.start()
    scheduler = server.client("scheduler")
    scheduler.create_schedule(Name="seed-000000", ScheduleExpression="cron(0 4 1 1 ? *)", FlexibleTimeWindow={"Mode": "OFF"},
                              Target={"Arn": "arn:aws:sqs:us-east-1:000000000000:q", "RoleArn": "arn:aws:iam::000000000000:role/r", "Input": "{}"})
    time.sleep(1)
    before = server.resident_mb()
    server.stop()
    empty = server.start()
    server.stop()
    copies(server.folder, arguments.count)
    took = server.start()
    resident = server.resident_mb()
    cpu = server.cpu_seconds()
    time.sleep(10)
    idle = server.cpu_seconds() - cpu
    assert server.client("scheduler").get_schedule(Name=f"seed-{arguments.count - 1:06}")["State"] == "ENABLED"
    server.stop()
    print(f"schedules                      {arguments.count:>10,}")
    print(f"start with one, s              {empty:>10.2f}")
    print(f"start with all, s              {took:>10.2f}")
    print(f"memory with one, MB            {before:>10.1f}")
    print(f"memory with all, MB            {resident:>10.1f}")
    print(f"memory for each, bytes         {(resident - before) * 1e6 / arguments.count:>10.0f}")
    print(f"CPU in 10 s without a due one  {idle:>10.2f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["latency", "schedules"])
    parser.add_argument("--count", type=int)
    parser.add_argument("--binary", default=str(ROOT / os.environ.get("MAYFLY_BINARY", "build/mayfly")))
    arguments = parser.parse_args()
    arguments.count = arguments.count or {"latency": 100, "schedules": 1_000_000}[arguments.what]
    folder = tempfile.mkdtemp(prefix="mayfly-bench-")
    server = Server(arguments.binary, folder)
    try:
        {"latency": latency, "schedules": schedules}[arguments.what](server, arguments)
    finally:
        if server.process.poll() is None:
            server.stop()
        shutil.rmtree(folder, ignore_errors=True)


main()
