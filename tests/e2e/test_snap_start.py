"""SnapStart: a published version is initialised ahead, an invocation restores an instance of it, and nothing of it is anyone else's."""

import base64
import concurrent.futures
import json
import re
import time
import urllib.request

import botocore.exceptions
import pytest

from conftest import ROLE, wait_until, zip_bytes

CODE = """
import json, os, random, secrets, socket, tempfile, time, uuid
from snapshot_restore_py import register_before_snapshot, register_after_restore
time.sleep(float(os.environ.get('IMPORTS', '0')))
born = time.time()
unique = [random.random(), uuid.uuid4().hex, secrets.token_hex(8)]
calls = []
register_before_snapshot(calls.append, 'before')
register_after_restore(calls.append, 'after')
held = open('/tmp/held', 'w+')
held.write(os.environ.get('SECRET', ''))
held.flush()
def handler(event, context):
    if event.get('leave'):
        open('/tmp/left', 'w').write('x')
    return {'born': born, 'now': time.time(), 'unique': unique + [random.random()], 'calls': calls, 'environ': dict(os.environ),
            'tmp': sorted(os.listdir('/tmp')), 'held': open('/tmp/held').read(), 'pid': os.getpid(),
            'processes': [p for p in os.listdir('/proc') if p.isdigit()],
            'fds': sorted(os.readlink('/proc/self/fd/' + fd) for fd in os.listdir('/proc/self/fd') if os.path.exists('/proc/self/fd/' + fd)),
            'version': context.function_version, 'memory': context.memory_limit_in_mb}
"""


def create(client, name, code=CODE, runtime="python3.11", **settings):
    client.create_function(FunctionName=name, Runtime=runtime, Handler="app.handler", Role=ROLE, Timeout=20, MemorySize=256,
                           Code={"ZipFile": zip_bytes({"app.py": code})}, SnapStart={"ApplyOn": "PublishedVersions"}, **settings)
    client.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1})


def publish(client, name):
    version = client.publish_version(FunctionName=name)["Version"]
    wait_until(lambda: client.get_function_configuration(FunctionName=name, Qualifier=version)["State"] == "Active", what="the version")
    return version


def instances_in(server, state):
    with urllib.request.urlopen(f"{server.endpoint}/metrics") as response:
        text = response.read().decode()
    found = re.search(r'mayfly_instances{state="%s"} (\S+)' % state, text)
    return int(float(found.group(1))) if found else 0


def call(client, name, version, payload=None):
    answer = client.invoke(FunctionName=name, Qualifier=version, Payload=json.dumps(payload or {}).encode(), LogType="Tail")
    return answer, json.loads(answer["Payload"].read()), base64.b64decode(answer["LogResult"]).decode()


def test_what_the_api_says_of_it(lambda_client):
    client = lambda_client
    create(client, "snap-api", Environment={"Variables": {"IMPORTS": "0.5"}})
    latest = client.get_function_configuration(FunctionName="snap-api")
    assert latest["SnapStart"] == {"ApplyOn": "PublishedVersions", "OptimizationStatus": "Off"}
    published = client.publish_version(FunctionName="snap-api")
    assert published["SnapStart"] == {"ApplyOn": "PublishedVersions", "OptimizationStatus": "On"}
    assert published["State"] == "Pending" and published["StateReasonCode"] == "Creating"
    client.get_waiter("published_version_active").wait(FunctionName="snap-api", Qualifier="1", WaiterConfig={"Delay": 1})
    shown = client.get_function(FunctionName="snap-api", Qualifier="1")["Configuration"]
    assert shown["State"] == "Active" and shown["SnapStart"]["OptimizationStatus"] == "On" and "StateReason" not in shown
    with pytest.raises(client.exceptions.InvalidParameterValueException, match="Provisioned Concurrency is not supported"):
        client.put_provisioned_concurrency_config(FunctionName="snap-api", Qualifier="1", ProvisionedConcurrentExecutions=1)
    client.update_function_configuration(FunctionName="snap-api", SnapStart={"ApplyOn": "None"})
    client.get_waiter("function_updated_v2").wait(FunctionName="snap-api", WaiterConfig={"Delay": 1})
    assert client.publish_version(FunctionName="snap-api")["SnapStart"] == {"ApplyOn": "None", "OptimizationStatus": "Off"}
    with pytest.raises(botocore.exceptions.ClientError):
        client.update_function_configuration(FunctionName="snap-api", SnapStart={"ApplyOn": "Sometimes"})


def test_an_invocation_restores_what_was_initialised_before(lambda_client, server):
    create(lambda_client, "snap", Environment={"Variables": {"IMPORTS": "0.4", "SECRET": "s-1"}})
    version = publish(lambda_client, "snap")
    published = time.time()
    _, result, log = call(lambda_client, "snap", version)
    assert result["born"] < published
    assert abs(result["now"] - time.time()) < 60
    assert result["calls"] == ["before", "after"]
    assert result["environ"]["AWS_LAMBDA_INITIALIZATION_TYPE"] == "snap-start"
    restore = float(re.search(r"Restore Duration: ([\d.]+) ms\tBilled Restore Duration: \d+ ms", log).group(1))
    assert restore < 300, log
    assert "Init Duration" not in log


def test_instances_share_nothing_but_their_version(lambda_client):
    for number in (1, 2):
        create(lambda_client, f"snap-apart-{number}", Environment={"Variables": {"SECRET": f"secret-{number}"}})
    versions = {name: publish(lambda_client, name) for name in ("snap-apart-1", "snap-apart-2")}
    lambda_client.update_function_configuration(FunctionName="snap-apart-1", Environment={"Variables": {"SECRET": "secret-3"}})
    lambda_client.get_waiter("function_updated_v2").wait(FunctionName="snap-apart-1", WaiterConfig={"Delay": 1})
    second = publish(lambda_client, "snap-apart-1")
    rounds = [("snap-apart-1", versions["snap-apart-1"], "secret-1"), ("snap-apart-2", versions["snap-apart-2"], "secret-2"),
              ("snap-apart-1", second, "secret-3")]
    seen = []
    for name, version, secret in rounds:
        _, result, _ = call(lambda_client, name, version, {"leave": True})
        seen.append(result)
        text = json.dumps(result)
        assert result["held"] == secret == result["environ"]["SECRET"] and result["version"] == version
        assert all(other == secret or other not in text for other in ("secret-1", "secret-2", "secret-3"))
        assert set(result["tmp"]) == {"held", "left"}
        assert len(result["processes"]) == 1
        assert all(target.startswith(("socket:", "pipe:", "/dev/null", "/tmp/held")) for target in result["fds"]), result["fds"]
    for part in ("AWS_ACCESS_KEY_ID", "AWS_SESSION_TOKEN", "AWS_LAMBDA_LOG_STREAM_NAME"):
        assert len({result["environ"][part] for result in seen}) == 3, part


def test_instances_of_one_version_are_different_from_the_beginning(lambda_client):
    create(lambda_client, "snap-twins", code=CODE.replace("def handler(event, context):", "def handler(event, context):\n    time.sleep(0.3)"))
    version = publish(lambda_client, "snap-twins")
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        results = [result for _, result, _ in pool.map(lambda _: call(lambda_client, "snap-twins", version), range(3))]
    # On a slow machine one instance serves several.
    instances = {result["environ"]["AWS_LAMBDA_LOG_STREAM_NAME"]: result for result in results}.values()
    assert len(instances) >= 2
    assert len({value for result in instances for value in result["unique"]}) == len(instances) * 4
    assert len({result["environ"]["AWS_ACCESS_KEY_ID"] for result in instances}) == len(instances)
    # Those that were not prepared have run their hooks, too.
    assert all(result["calls"] == ["before", "after"] for result in results)


def test_what_cannot_be_initialised_says_so_and_is_invoked_as_ever(lambda_client):
    create(lambda_client, "snap-broken", code="import no_such_module\n")
    version = lambda_client.publish_version(FunctionName="snap-broken")["Version"]

    def shown():
        return lambda_client.get_function_configuration(FunctionName="snap-broken", Qualifier=version)

    wait_until(lambda: shown()["State"] == "Active", what="the failure")
    assert shown()["SnapStart"]["OptimizationStatus"] == "Off"
    assert shown()["StateReasonCode"] == "FunctionError" and "no_such_module" in shown()["StateReason"]
    answer, result, log = call(lambda_client, "snap-broken", version)
    assert answer["FunctionError"] == "Unhandled" and result["errorType"] == "Runtime.ImportModuleError"


def test_a_hook_that_fails_is_the_error_of_its_invocation(lambda_client):
    code = "import snapshot_restore_py as s\n@s.register_after_restore\ndef hook(): raise ValueError('no')\ndef handler(e, c): return 1\n"
    create(lambda_client, "snap-hook", code=code)
    answer, result, _ = call(lambda_client, "snap-hook", publish(lambda_client, "snap-hook"))
    assert answer["FunctionError"] == "Unhandled"
    assert result["errorType"] == "Runtime.AfterRestoreError" and result["errorMessage"] == "ValueError: no"


def test_limits_hold_in_a_restored_instance(lambda_client):
    create(lambda_client, "snap-limits", code="def handler(e, c):\n    return len(bytearray(e['mb'] << 20))\n")
    version = publish(lambda_client, "snap-limits")
    answer, result, log = call(lambda_client, "snap-limits", version, {"mb": 600})
    assert answer["FunctionError"] == "Unhandled" and "Restore Duration" in log, (result, log)


def test_versions_are_prepared_again_after_a_restart_and_end_with_the_function(new_server):
    server = new_server().start()
    create(server.client(), "snap-over")
    version = publish(server.client(), "snap-over")
    assert server.stop() == 0
    client = server.start().client()
    assert client.get_function_configuration(FunctionName="snap-over", Qualifier=version)["State"] == "Active"
    wait_until(lambda: instances_in(server, "prepared") == 1, what="an initialised instance after a restart")
    _, result, log = call(client, "snap-over", version)
    assert result["calls"] == ["before", "after"] and "Restore Duration" in log
    client.delete_function(FunctionName="snap-over")
    wait_until(lambda: instances_in(server, "prepared") + instances_in(server, "idle") + instances_in(server, "starting") == 0, what="the end of its instances")
