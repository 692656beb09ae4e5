"""Cold starts from sandboxes and runtimes that were made ahead: nothing of one function is seen by another, and a function cannot
tell such a start from another one, but for its time."""

import json
import re
import shutil
import subprocess
import urllib.request

import pytest

from conftest import wait_until, zip_bytes

PYTHON = """
import hashlib, json, os, random, sys, time
def names(folder):
    return sorted(os.listdir(folder))
def handler(event, context):
    if event.get('leave'):
        for place in ('/tmp', '/dev/shm'):
            with open(place + '/left', 'w') as f: f.write(os.environ['SECRET'])
    return {
        'environ': dict(os.environ), 'initial': open('/proc/self/environ', 'rb').read().decode(errors='replace'),
        'fds': {fd: os.readlink('/proc/self/fd/' + fd) for fd in names('/proc/self/fd') if os.path.exists('/proc/self/fd/' + fd)},
        'tmp': names('/tmp') + names('/dev/shm'), 'task': names('/var/task'), 'opt': names('/opt'), 'cwd': os.getcwd(),
        'processes': [p for p in names('/proc') if p.isdigit()], 'argv': sys.argv, 'path': sys.path[0],
        'hash': hash('mayfly'), 'random': random.random(), 'tz': time.tzname[0], 'pid': os.getpid(),
    }
"""
NODE = """
const fs = require('fs');
exports.handler = async (event) => {
  if (event.leave) fs.writeFileSync('/tmp/left', process.env.SECRET);
  return {
    environ: {...process.env}, initial: fs.readFileSync('/proc/self/environ', 'latin1'),
    fds: fs.readdirSync('/proc/self/fd'), tmp: fs.readdirSync('/tmp'), task: fs.readdirSync('/var/task'), opt: fs.readdirSync('/opt'),
    cwd: process.cwd(), argv: process.argv, random: Math.random(), tz: new Date(0).getHours(),
    processes: fs.readdirSync('/proc').filter((p) => /^[0-9]+$/.test(p)),
  };
};
"""
KINDS = {"python": ("python3.11", "app.handler", "app.py", PYTHON), "nodejs": ("nodejs20.x", "index.handler", "index.js", NODE)}


def taken(server):
    """How many cold starts of this server had a ready sandbox."""
    with urllib.request.urlopen(f"{server.endpoint}/metrics") as response:
        text = response.read().decode()
    return int(float(re.search(r'mayfly_cold_start_sandboxes_total\{sandbox="ready"\} (\S+)', text).group(1)))


@pytest.fixture(scope="module")
def ready_start(server, lambda_client, invoke):
    """Invokes a function on an instance that was made ahead: starts it anew until one was."""

    def call(name, payload=None, variables=None):
        found = []

        def start():
            number = len(found)
            lambda_client.update_function_configuration(FunctionName=name, Environment={"Variables": {**(variables or {}), "ROUND": str(number)}})
            lambda_client.get_waiter("function_updated_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1})
            before = taken(server)
            response, result = invoke(name, payload)
            assert "FunctionError" not in response, result
            found.append(result)
            return taken(server) > before

        wait_until(start, what="a start from a ready sandbox")
        return found[-1]

    return call


@pytest.mark.parametrize("kind", KINDS)
def test_a_ready_sandbox_has_nothing_of_another_function(kind, make_function, ready_start):
    runtime, handler, file, code = KINDS[kind]
    reports = []
    for i in range(4):
        name = make_function(f"ready-{kind}-{i}", runtime, handler, {file: code, f"only-of-{i}": ""}, MemorySize=256)
        reports.append(ready_start(name, {"leave": True}, {"SECRET": f"secret-{i}-of-{kind}", "TZ": "Asia/Tokyo" if i == 3 else "UTC"}))
    for i, report in enumerate(reports):
        assert report["environ"]["SECRET"] == f"secret-{i}-of-{kind}"
        assert report["environ"]["AWS_LAMBDA_FUNCTION_NAME"] == f"ready-{kind}-{i}"
        assert "MAYFLY_CONTROL_FD" not in report["environ"]
        assert sorted(report["task"]) == sorted([file, f"only-of-{i}"]) and report["cwd"] == "/var/task"
        assert report["opt"] == []
        text = json.dumps(report)
        for other in range(4):
            assert other == i or f"secret-{other}-of-{kind}" not in text and f"only-of-{other}" not in text
        assert f"secret-{i}-of-{kind}" not in report["initial"]
        # What this invocation left itself, and nothing before it.
        assert set(report["tmp"]) == {"left"}
        assert len(report["processes"]) == 1
    assert len({report["random"] for report in reports}) == 4
    if kind == "python":
        assert len({report["hash"] for report in reports}) == 4
        assert reports[3]["tz"] == "JST" and reports[0]["tz"] == "UTC"
        for report in reports:
            assert all(target.startswith(("socket:", "pipe:", "/dev/null")) for target in report["fds"].values()), report["fds"]
            assert len(report["fds"]) == 4, report["fds"]  # three, and the Runtime API's
            assert report["argv"] == ["/var/runtime/bootstrap.py"] and report["path"] == "/var/task"
    else:
        assert reports[3]["tz"] == 9 and reports[0]["tz"] == 0


def test_a_variable_that_the_interpreter_reads_at_its_start_holds(make_function, ready_start):
    name = make_function("ready-seed", "python3.11", "app.handler", {"app.py": PYTHON}, MemorySize=256)
    variables = {"PYTHONHASHSEED": "7", "SECRET": "s"}
    first = ready_start(name, None, variables)
    second = ready_start(name, None, variables)
    assert first["hash"] == second["hash"]
    assert "PYTHONHASHSEED=7" in first["initial"]


@pytest.mark.skipif(not shutil.which("cc"), reason="SKIPPED: no C compiler for a library to load")
def test_a_library_of_a_layer_is_found_by_a_runtime_that_was_started_before_it(make_function, lambda_client, ready_start, tmp_path):
    (tmp_path / "seven.c").write_text("int seven(void) { return 7; }\n")
    subprocess.run(["cc", "-shared", "-fPIC", "-o", tmp_path / "libseven.so", tmp_path / "seven.c"], check=True)
    library = (tmp_path / "libseven.so").read_bytes()
    layer = lambda_client.publish_layer_version(LayerName="seven", Content={"ZipFile": zip_bytes({"lib/libseven.so": library})})
    code = "import ctypes\ndef handler(event, context):\n    return ctypes.CDLL('libseven.so').seven()\n"
    name = make_function("ready-library", "python3.11", "app.handler", {"app.py": code}, MemorySize=256, Layers=[layer["LayerVersionArn"]])
    assert ready_start(name) == 7


def test_a_failing_import_is_told_as_ever(make_function, lambda_client, server, invoke):
    name = make_function("ready-broken", "python3.11", "app.handler", {"app.py": "import no_such_module\n"}, MemorySize=256)
    for _ in range(3):
        response, payload = invoke(name)
        assert response["FunctionError"] == "Unhandled"
        assert payload["errorType"] == "Runtime.ImportModuleError", payload


def test_without_memory_for_ready_ones_every_start_is_made_directly(new_server):
    server = new_server({"ready_memory_mb": "0"}).start()
    client = server.client()
    for i in range(3):
        client.create_function(FunctionName=f"direct-{i}", Runtime="python3.11", Handler="app.handler", Role="arn:aws:iam::000000000000:role/test",
                               Code={"ZipFile": zip_bytes({"app.py": PYTHON})}, Environment={"Variables": {"SECRET": "s"}})
        client.get_waiter("function_active_v2").wait(FunctionName=f"direct-{i}", WaiterConfig={"Delay": 1})
        assert "FunctionError" not in client.invoke(FunctionName=f"direct-{i}")
    assert taken(server) == 0
