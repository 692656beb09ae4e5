"""Deploy, run, change and remove functions through the Lambda API, as an ordinary client does."""

import base64
import concurrent.futures
import json
import re
import urllib.request

import botocore.exceptions
import pytest

pytestmark = pytest.mark.main

PYTHON = {"app.py": """
import os, time
count = 0
def handler(event, context):
    global count
    count += 1
    print('saw', event.get('n'))
    if event.get('sleep'): time.sleep(event['sleep'])
    if event.get('fail'): raise ValueError('asked to fail')
    if event.get('exit'): os._exit(3)
    if event.get('eat'):
        kept = [bytearray(1 << 20) for _ in range(event['eat'])]
    return {'n': event.get('n'), 'count': count, 'version': context.function_version, 'id': context.aws_request_id,
            'client': context.client_context.custom if context.client_context else None,
            'env': os.environ.get('COLOUR'), 'name': os.environ['AWS_LAMBDA_FUNCTION_NAME']}
"""}
NODE = {"index.mjs": "export const handler = async (event, context) => ({n: event.n, id: context.awsRequestId, runtime: process.version});"}


@pytest.fixture(scope="module")
def python_function(make_function):
    return make_function("main-python", "python3.11", "app.handler", PYTHON, Timeout=10, Environment={"Variables": {"COLOUR": "red"}})


def test_python_function_answers_and_is_reused(python_function, invoke):
    first, payload = invoke(python_function, {"n": 7}, LogType="Tail")
    assert first["StatusCode"] == 200 and first["ExecutedVersion"] == "$LATEST" and "FunctionError" not in first
    assert payload["n"] == 7 and payload["env"] == "red" and payload["name"] == python_function and payload["version"] == "$LATEST"
    assert payload["id"] == first["ResponseMetadata"]["RequestId"]
    log = base64.b64decode(first["LogResult"]).decode()
    assert "saw 7" in log and f"START RequestId: {payload['id']} Version: $LATEST" in log
    assert re.search(r"REPORT RequestId: \S+\tDuration: [\d.]+ ms\tBilled Duration: \d+ ms\tMemory Size: 128 MB\tMax Memory Used: \d+ MB\tInit Duration: [\d.]+ ms", log)
    _, again = invoke(python_function, {"n": 8})
    assert again["count"] == payload["count"] + 1


def test_node_function_answers(make_function, invoke):
    name = make_function("main-node", "nodejs20.x", "index.handler", NODE, Timeout=10, MemorySize=256)
    _, payload = invoke(name, {"n": 1})
    assert payload["n"] == 1 and payload["runtime"].startswith("v20.")


def test_logs_are_json_where_the_function_asks_for_it(lambda_client, make_function, invoke):
    name = make_function("main-json-logs", "python3.11", "app.handler", {"app.py": """
import logging
def handler(event, context):
    logging.getLogger().info('kept out')
    logging.getLogger().warning('let through')
"""}, LoggingConfig={"LogFormat": "JSON", "ApplicationLogLevel": "WARN"})
    assert lambda_client.get_function_configuration(FunctionName=name)["LoggingConfig"] == {
        "LogFormat": "JSON", "ApplicationLogLevel": "WARN", "SystemLogLevel": "INFO", "LogGroup": "/aws/lambda/" + name}
    response, _ = invoke(name, {}, LogType="Tail")
    lines = [json.loads(line) for line in base64.b64decode(response["LogResult"]).decode().splitlines()]
    assert [line.get("type") or line["message"] for line in lines] == ["platform.start", "let through", "platform.report"]
    assert lines[2]["record"]["status"] == "success" and lines[2]["record"]["metrics"]["memorySizeMB"] == 128
    with pytest.raises(botocore.exceptions.ClientError, match="LogFormat is JSON"):
        lambda_client.update_function_configuration(FunctionName=name, LoggingConfig={"LogFormat": "Text", "SystemLogLevel": "WARN"})


def test_client_context_reaches_the_function(python_function, invoke):
    context = base64.b64encode(json.dumps({"custom": {"k": "v"}}).encode()).decode()
    _, payload = invoke(python_function, {}, ClientContext=context)
    assert payload["client"] == {"k": "v"}


def test_function_error_has_type_message_and_trace(python_function, invoke):
    response, payload = invoke(python_function, {"fail": True})
    assert response["FunctionError"] == "Unhandled" and response["StatusCode"] == 200
    assert payload["errorType"] == "ValueError" and payload["errorMessage"] == "asked to fail"
    assert any("raise ValueError" in line for line in payload["stackTrace"])


def test_dry_run(python_function, lambda_client):
    assert lambda_client.invoke(FunctionName=python_function, InvocationType="DryRun")["StatusCode"] == 204


def test_crash_is_answered_and_replaced(python_function, invoke):
    response, payload = invoke(python_function, {"exit": True})
    assert response["FunctionError"] == "Unhandled" and payload["errorType"] == "Runtime.ExitError"
    assert "exit status 3" in payload["errorMessage"]
    _, after = invoke(python_function, {"n": 1})
    assert after["count"] == 1


def test_timeout_kills_the_instance_and_says_so(make_function, invoke):
    name = make_function("main-timeout", "python3.11", "app.handler", PYTHON, Timeout=1)
    response, payload = invoke(name, {"sleep": 30})
    assert response["FunctionError"] == "Unhandled" and "Task timed out after 1.00 seconds" in payload["errorMessage"]
    _, after = invoke(name, {"n": 1})
    assert after["count"] == 1


def test_out_of_memory_is_told_apart(make_function, invoke):
    name = make_function("main-memory", "python3.11", "app.handler", PYTHON, Timeout=30, MemorySize=128)
    response, payload = invoke(name, {"eat": 400})
    assert response["FunctionError"] == "Unhandled"
    assert "OutOfMemory" in payload["errorType"] or "signal: killed" in payload["errorMessage"]
    _, after = invoke(name, {"n": 1})
    assert after["count"] == 1


def test_scales_out_for_concurrent_invokes(make_function, invoke):
    name = make_function("main-scale", "python3.11", "app.handler", PYTHON, Timeout=60)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: invoke(name, {"n": n, "sleep": 0.5})[1], range(8)))
    assert sorted(a["n"] for a in answers) == list(range(8)) and all(a["count"] >= 1 for a in answers)
    assert sum(1 for a in answers if a["count"] == 1) >= 2


def test_reserved_concurrency_throttles_with_its_reason(make_function, lambda_client, invoke):
    name = make_function("main-throttle", "python3.11", "app.handler", PYTHON, Timeout=30)
    lambda_client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=1)

    def attempt(n):
        try:
            return invoke(name, {"n": n, "sleep": 2})[1]["n"]
        except botocore.exceptions.ClientError as error:
            return error.response

    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(attempt, range(3)))
    refused = [a for a in answers if isinstance(a, dict)]
    assert len(refused) == 2
    assert all(r["Error"]["Code"] == "TooManyRequestsException" and r["ResponseMetadata"]["HTTPStatusCode"] == 429 for r in refused)
    assert all(r["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded" for r in refused)


def test_update_code_and_versions_and_alias(make_function, lambda_client, invoke, tools):
    name = make_function("main-update", "python3.11", "app.handler", {"app.py": "def handler(e, c): return 'one'"}, Timeout=10)
    assert invoke(name)[1] == "one"
    first = lambda_client.publish_version(FunctionName=name)
    assert first["Version"] == "1"
    lambda_client.update_function_code(FunctionName=name, ZipFile=tools.zip_bytes({"app.py": "def handler(e, c): return 'two'"}))
    lambda_client.get_waiter("function_updated_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1})
    assert invoke(name)[1] == "two"
    assert invoke(name, Qualifier="1")[1] == "one"
    lambda_client.create_alias(FunctionName=name, Name="live", FunctionVersion="1")
    response, payload = invoke(name, Qualifier="live")
    assert payload == "one" and response["ExecutedVersion"] == "1"
    second = lambda_client.publish_version(FunctionName=name)["Version"]
    lambda_client.update_alias(FunctionName=name, Name="live", RoutingConfig={"AdditionalVersionWeights": {second: 0.5}})
    seen = {invoke(name, Qualifier="live")[1] for _ in range(40)}
    assert seen == {"one", "two"}
    versions = [v["Version"] for v in lambda_client.list_versions_by_function(FunctionName=name)["Versions"]]
    assert versions == ["$LATEST", "1", "2"]


def test_code_download_link_works(python_function, lambda_client):
    location = lambda_client.get_function(FunctionName=python_function)["Code"]["Location"]
    with urllib.request.urlopen(location, timeout=10) as response:
        assert response.read(2) == b"PK"


def test_layers_are_mounted_at_opt(make_function, lambda_client, invoke, tools):
    layer = lambda_client.publish_layer_version(LayerName="main-layer", Content={"ZipFile": tools.zip_bytes({"python/shared.py": "value = 42"})})
    name = make_function("main-layered", "python3.11", "app.handler", {"app.py": "import shared\ndef handler(e, c): return shared.value"},
                         Layers=[layer["LayerVersionArn"]], Timeout=10)
    assert invoke(name)[1] == 42


def test_function_url_answers(make_function, lambda_client, server):
    body = "def handler(e, c): return {'statusCode': 201, 'headers': {'x-own': 'yes'}, 'body': e['requestContext']['http']['method'] + e['rawPath']}"
    name = make_function("main-url", "python3.11", "app.handler", {"app.py": body}, Timeout=10)
    url = lambda_client.create_function_url_config(FunctionName=name, AuthType="NONE")["FunctionUrl"]
    lambda_client.add_permission(FunctionName=name, StatementId="public", Action="lambda:InvokeFunctionUrl", Principal="*", FunctionUrlAuthType="NONE")
    host = url.split("//")[1].rstrip("/")
    request = urllib.request.Request(server.endpoint + "/some/path", headers={"Host": host})
    with urllib.request.urlopen(request, timeout=20) as response:
        assert response.status == 201 and response.headers["x-own"] == "yes" and response.read() == b"GET/some/path"


def test_streamed_response_arrives_in_parts(make_function, lambda_client):
    code = """
export const handler = awslambda.streamifyResponse(async (event, stream) => {
  for (let i = 0; i < 3; i++) { stream.write(`part ${i};`); await new Promise(r => setTimeout(r, 50)); }
  stream.end();
});"""
    name = make_function("main-stream", "nodejs20.x", "index.handler", {"index.mjs": code}, Timeout=10)
    events = list(lambda_client.invoke_with_response_stream(FunctionName=name, Payload=b"{}")["EventStream"])
    text = b"".join(e["PayloadChunk"]["Payload"] for e in events if "PayloadChunk" in e)
    assert text == b"part 0;part 1;part 2;" and "InvokeComplete" in events[-1]


def test_metrics_count_invocations(server, python_function, invoke):
    invoke(python_function, {})
    with urllib.request.urlopen(server.endpoint + "/metrics", timeout=10) as response:
        text = response.read().decode()
    assert re.search(r'mayfly_invocations_total\{[^}]*function="main-python"[^}]*\} [1-9]', text)
    assert "mayfly_instances{" in text and "mayfly_invocation_duration_seconds_bucket" in text
