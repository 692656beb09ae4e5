"""Asynchronous invocations: accepted durably, run, retried, handed on; and run after the server was killed."""

import json
import subprocess
import urllib.request

import botocore.exceptions
import pytest

pytestmark = pytest.mark.main

ECHO = {"app.py": "import json\ndef handler(e, c):\n  print('got', json.dumps(e), c.aws_request_id)\n  return e"}
FAILS = {"app.py": "def handler(e, c):\n  print('tried', e, c.aws_request_id)\n  raise ValueError('on purpose')"}


def cli(server, tools, *arguments):
    done = subprocess.run([str(tools.binary), *arguments, "--json", "--endpoint", server.endpoint], capture_output=True, text=True, timeout=30,
                          env={**server.env, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "us-east-1"})
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def log_lines(server, name, tools):
    return [line["message"] for line in cli(server, tools, "logs", name, "--lines", "1000")]


def create(client, name, tools, files=None, **settings):
    client.create_function(FunctionName=name, Runtime="python3.11", Handler="app.handler", Role=tools.role,
                           Code={"ZipFile": tools.zip_bytes(files or ECHO)}, **settings)
    client.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1})


def send(client, name, event):
    answer = client.invoke(FunctionName=name, InvocationType="Event", Payload=json.dumps(event).encode())
    assert answer["StatusCode"] == 202
    assert answer["Payload"].read() == b""
    return answer["ResponseMetadata"]["RequestId"]


def test_an_event_is_accepted_and_runs_with_its_request_id(server, lambda_client, tools):
    create(lambda_client, "events", tools)
    request_id = send(lambda_client, "events", {"n": 1})
    tools.wait_until(lambda: any(f'got {{"n": 1}} {request_id}' in line for line in log_lines(server, "events", tools)))


def test_refusals(lambda_client, tools):
    with pytest.raises(botocore.exceptions.ClientError) as missing:
        lambda_client.invoke(FunctionName="nobody", InvocationType="Event", Payload=b"{}")
    assert missing.value.response["Error"]["Code"] == "ResourceNotFoundException"
    create(lambda_client, "picky", tools)
    with pytest.raises(botocore.exceptions.ClientError) as large:
        lambda_client.invoke(FunctionName="picky", InvocationType="Event", Payload=json.dumps("x" * 1024 * 1024).encode())
    assert large.value.response["ResponseMetadata"]["HTTPStatusCode"] == 413
    with pytest.raises(botocore.exceptions.ClientError) as nonsense:
        lambda_client.invoke(FunctionName="picky", InvocationType="Event", Payload=b"{")
    assert nonsense.value.response["Error"]["Code"] == "InvalidRequestContentException"


def test_a_function_is_the_destination_of_failures(server, lambda_client, tools):
    create(lambda_client, "fails", tools, FAILS)
    create(lambda_client, "hears", tools)
    hears = lambda_client.get_function_configuration(FunctionName="hears")["FunctionArn"]
    lambda_client.put_function_event_invoke_config(FunctionName="fails", MaximumRetryAttempts=0,
                                                   DestinationConfig={"OnFailure": {"Destination": hears}})
    request_id = send(lambda_client, "fails", {"n": 2})
    records = lambda: [json.loads(line.split("got ", 1)[1].rsplit(" ", 1)[0]) for line in log_lines(server, "hears", tools) if line.startswith("got ")]
    tools.wait_until(lambda: records())
    record = records()[0]
    assert record["version"] == "1.0"
    assert record["requestContext"] == {"requestId": request_id, "condition": "RetriesExhausted", "approximateInvokeCount": 1,
                                        "functionArn": lambda_client.get_function_configuration(FunctionName="fails")["FunctionArn"] + ":$LATEST"}
    assert record["requestPayload"] == {"n": 2}
    assert record["responseContext"] == {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"}
    assert record["responsePayload"]["errorMessage"] == "on purpose"


def test_what_waits_at_a_kill_runs_afterwards(new_server, tools):
    server = new_server().start()
    client = server.client()
    create(client, "waits", tools)
    client.put_function_concurrency(FunctionName="waits", ReservedConcurrentExecutions=0)
    sent = {send(client, "waits", {"n": n}) for n in range(20)}
    server.kill()
    server.start()
    client = server.client()
    assert client.get_function_concurrency(FunctionName="waits")["ReservedConcurrentExecutions"] == 0
    client.delete_function_concurrency(FunctionName="waits")
    seen = lambda: {line.rsplit(" ", 1)[1].strip() for line in log_lines(server, "waits", tools) if line.startswith("got ")}
    tools.wait_until(lambda: seen() >= sent, seconds=60, what="every accepted event runs")


def test_what_waits_is_shown(new_server, tools):
    server = new_server().start()
    client = server.client()
    create(client, "shown", tools)
    client.put_function_concurrency(FunctionName="shown", ReservedConcurrentExecutions=0)
    request_id = send(client, "shown", {})
    lane = lambda: cli(server, tools, "deliveries")[0]["Lanes"][0]
    tools.wait_until(lambda: lane()["Ready"] == 1 and lane()["ThrottledAttempts"] > 0)
    assert lane()["LastErrorCode"] == "TooManyRequestsException" and lane()["Breaker"] == "closed"
    waiting = cli(server, tools, "deliveries", lane()["Target"], "--via", lane()["Via"])[0]["Events"]
    assert [event["Id"] for event in waiting] == [request_id] and waiting[0]["Attempts"] == 0
    with urllib.request.urlopen(server.endpoint + "/metrics", timeout=5) as response:
        assert 'mayfly_deliveries_total{outcome="throttled",service="lambda"}' in response.read().decode()


def test_recorded_invocations_are_replayed(server, lambda_client, tools, tmp_path):
    create(lambda_client, "again", tools)
    recorded = cli(server, tools, "invoke", "again", '{"n": 1}')[0]
    lines = [recorded, {**recorded, "Result": {"n": 2}}, {"just": "a payload"}]
    (tmp_path / "recorded.jsonl").write_text("\n".join(json.dumps(line) for line in lines))
    done = subprocess.run([str(tools.binary), "invoke", "again", "--replay", str(tmp_path / "recorded.jsonl"), "--json", "--endpoint",
                           server.endpoint], capture_output=True, text=True, timeout=30,
                          env={**server.env, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"})
    assert done.returncode == 1, done.stderr
    assert [json.loads(line)["Verdict"] for line in done.stdout.splitlines()] == ["same", "differs", "ran"]
