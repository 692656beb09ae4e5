"""The command line, as a person or a script uses it."""

import json
import os
import pathlib
import subprocess
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def mayfly(server, tools):
    environment = {"PATH": os.environ["PATH"], "HOME": str(server.data_dir), "MAYFLY_ROOT_ACCESS_KEY_ID": "test",
                   "MAYFLY_ROOT_SECRET_ACCESS_KEY": "test"}

    def run(*arguments, stdin=None, code=0):
        done = subprocess.run([str(tools.binary), *arguments, "--data", str(server.data_dir / "data")] if arguments[0] in
                              ("deploy", "invoke", "list", "logs", "delete", "env") else [str(tools.binary), *arguments],
                              env=environment, input=stdin, capture_output=True, text=True, timeout=60)
        assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
        return done

    return run


def test_deploy_invoke_logs_delete(mayfly, tmp_path):
    folder = tmp_path / "greeter"
    folder.mkdir()
    (folder / "app.py").write_text("def handler(event, context):\n    print('greeting', event)\n    return 'hello ' + event.get('name', '?')\n")
    deployed = mayfly("deploy", str(folder))
    assert "deployed arn:aws:lambda:us-east-1:000000000000:function:greeter" in deployed.stdout
    assert "\x1b[" not in deployed.stdout
    invoked = mayfly("invoke", "greeter", '{"name": "ann"}')
    assert invoked.stdout.strip() == '"hello ann"' and "cold, init" in invoked.stderr and "| greeting {'name': 'ann'}" in invoked.stderr
    again = json.loads(mayfly("invoke", "greeter", "-", "--json", stdin='{"name": "bob"}').stdout)
    assert again["Result"] == "hello bob" and again["ColdStart"] is False and again["Duration"].endswith(" ms")
    (folder / "app.py").write_text("def handler(event, context):\n    raise KeyError('no')\n")
    mayfly("deploy", str(folder))
    failed = mayfly("invoke", "greeter", code=1)
    assert "KeyError" in failed.stdout and "function error: Unhandled" in failed.stderr
    assert [f["FunctionName"] for f in json.loads(mayfly("list", "--json").stdout)] == ["greeter"]
    assert "greeter" in mayfly("list").stdout
    lines = mayfly("logs", "greeter").stdout
    assert "greeting" in lines and "REPORT RequestId" in lines
    mayfly("delete", "greeter", "--yes")
    assert "no functions yet" in mayfly("list").stderr
    missing = mayfly("invoke", "greeter", code=1)
    assert "ResourceNotFoundException" in missing.stderr


def test_logs_follow(mayfly, server, tools, tmp_path):
    folder = tmp_path / "followed"
    folder.mkdir()
    (folder / "app.py").write_text("def handler(event, context):\n    print('mark', event['n'])\n")
    mayfly("deploy", str(folder))
    follower = subprocess.Popen([str(tools.binary), "logs", "-f", "followed", "--data", str(server.data_dir / "data")],
                                stdout=subprocess.PIPE, env={"PATH": os.environ["PATH"], "MAYFLY_ROOT_ACCESS_KEY_ID": "test",
                                                             "MAYFLY_ROOT_SECRET_ACCESS_KEY": "test"})
    try:
        deadline = time.monotonic() + 30
        seen = ""
        number = 0
        os.set_blocking(follower.stdout.fileno(), False)
        while "mark" not in seen and time.monotonic() < deadline:
            mayfly("invoke", "followed", json.dumps({"n": number}))
            number += 1
            seen += (follower.stdout.read() or b"").decode()
        assert "mark" in seen
    finally:
        follower.kill()
        follower.wait()


def test_env_doctor_version_completion(mayfly, server):
    assert f"export AWS_ENDPOINT_URL='{server.endpoint}'" in mayfly("env").stdout
    machine = json.loads(subprocess.run([str(ROOT / "build/mayfly"), "doctor", "--json"], capture_output=True, text=True, timeout=60).stdout)
    assert machine["Runtimes"] and "Ready" in machine
    assert json.loads(mayfly("version", "--json").stdout)["version"]
    assert "complete -F _mayfly mayfly" in mayfly("completion", "bash").stdout
    assert "Usage" in mayfly("--help").stdout
    mayfly("no-such-command", code=2)
