"""Bad input gets the service's own error, and nothing is lost by it."""

import http.client
import json
import socket
import struct

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import botocore.exceptions
import pytest

pytestmark = pytest.mark.main
CODE = {"app.py": "import time\ndef handler(e, c):\n  time.sleep(e.get('sleep', 0))\n  print('finished', e.get('mark'))\n  return e"}


def signed_request(server, method, path, body, service="lambda"):
    request = botocore.awsrequest.AWSRequest(method, server.endpoint + path, data=body, headers={"Host": f"127.0.0.1:{server.port}"})
    botocore.auth.SigV4Auth(botocore.credentials.Credentials("test", "test"), service, "us-east-1").add_auth(request)
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    connection.request(method, path, body, dict(request.headers))
    response = connection.getresponse()
    text = response.read()
    connection.close()
    return response, text


def refused(call, **parameters):
    with pytest.raises(botocore.exceptions.ClientError) as error:
        call(**parameters)
    response = error.value.response
    return response["Error"]["Code"], response["Error"]["Message"], response["ResponseMetadata"]["HTTPStatusCode"]


@pytest.fixture(scope="module")
def function(make_function):
    return make_function("bad-input", "python3.11", "app.handler", CODE, Timeout=10)


def test_malformed_json_body(server):
    response, text = signed_request(server, "POST", "/2015-03-31/functions", b"{not json")
    assert response.status == 400 and response.getheader("x-amzn-ErrorType") == "SerializationException"
    assert response.getheader("x-amzn-RequestId")


def test_all_violations_are_listed(lambda_client):
    code, message, status = refused(lambda_client.create_function, FunctionName="x", Role="not-a-role", Runtime="cobol", Code={"ZipFile": b"x"})
    assert status == 400 and message.startswith("2 validation errors detected") and "'role'" in message and "'runtime'" in message


def test_unknown_operation_and_unimplemented_operation(server):
    response, _ = signed_request(server, "GET", "/2099-01-01/nothing", b"")
    assert response.status == 404
    response, text = signed_request(server, "GET", "/2025-11-30/capacity-providers", b"")
    assert response.status == 501 and b"ListCapacityProviders" in text


def test_bad_zip(lambda_client, tools):
    code, message, status = refused(lambda_client.create_function, FunctionName="bad-zip", Role=tools.role, Runtime="python3.11",
                                    Handler="a.b", Code={"ZipFile": b"no zip at all"})
    assert (code, status) == ("InvalidParameterValueException", 400) and "unzip" in message
    assert refused(lambda_client.get_function, FunctionName="bad-zip")[0] == "ResourceNotFoundException"


def test_traversal_in_zip(lambda_client, tools, server):
    import io
    import zipfile
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("../../../escaped.txt", "x")
    code, _, status = refused(lambda_client.create_function, FunctionName="bad-path", Role=tools.role, Runtime="python3.11", Handler="a.b",
                              Code={"ZipFile": buffer.getvalue()})
    assert status == 400
    assert not list(server.data_dir.rglob("escaped.txt"))


def test_name_taken(function, lambda_client, tools):
    code, message, status = refused(lambda_client.create_function, FunctionName=function, Role=tools.role, Runtime="python3.11",
                                    Handler="app.handler", Code={"ZipFile": tools.zip_bytes(CODE)})
    assert (code, status) == ("ResourceConflictException", 409) and message == f"Function already exist: {function}"


def test_missing_function(lambda_client):
    code, message, status = refused(lambda_client.get_function, FunctionName="nobody")
    assert (code, status) == ("ResourceNotFoundException", 404)
    assert message == "Function not found: arn:aws:lambda:us-east-1:000000000000:function:nobody"


def test_missing_handler_is_a_function_error(make_function, invoke):
    name = make_function("bad-handler", "python3.11", "app.nothing", CODE)
    response, payload = invoke(name)
    assert response["FunctionError"] == "Unhandled" and payload["errorType"] == "Runtime.HandlerNotFound"


def test_missing_bootstrap_is_a_function_error(make_function, invoke):
    name = make_function("bad-bootstrap", "provided.al2023", "bootstrap", {"readme.txt": "no program here"})
    response, payload = invoke(name)
    assert response["FunctionError"] == "Unhandled" and payload["errorType"] == "Runtime.InvalidEntrypoint", payload
    assert "bootstrap" in payload["errorMessage"]


def test_payload_too_large_and_not_json(function, lambda_client):
    code, _, status = refused(lambda_client.invoke, FunctionName=function, Payload=b'"' + b"x" * (6 * 1024 * 1024 + 1) + b'"')
    assert (code, status) == ("RequestEntityTooLargeException", 413)
    assert refused(lambda_client.invoke, FunctionName=function, Payload=b"{nope")[0] == "InvalidRequestContentException"


def test_unsupported_settings_are_refused_by_name(lambda_client, tools):
    for setting in ({"Architectures": ["arm64"]}, {"PackageType": "Image", "Code": {"ImageUri": "x"}}, {"TracingConfig": {"Mode": "Active"}}):
        parameters = {"FunctionName": "unsupported", "Role": tools.role, "Runtime": "python3.11", "Handler": "a.b",
                      "Code": {"ZipFile": tools.zip_bytes(CODE)}, **setting}
        code, message, status = refused(lambda_client.create_function, **parameters)
        assert status in (400, 501), (setting, message)


def test_body_shorter_than_announced(server):
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(b"POST /2015-03-31/functions HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{}")
        connection.shutdown(socket.SHUT_WR)
        connection.settimeout(20)
        answer = connection.recv(100)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 400")
    assert server.client().list_functions()["ResponseMetadata"]["HTTPStatusCode"] == 200


def test_oversized_head(server):
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 100_000 + b"\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 431")


def test_client_that_goes_away_does_not_stop_the_function(function, server, invoke, tools):
    invoke(function, {})
    request = botocore.awsrequest.AWSRequest("POST", f"{server.endpoint}/2015-03-31/functions/{function}/invocations",
                                             data=json.dumps({"sleep": 1, "mark": "gone"}).encode(), headers={"Host": f"127.0.0.1:{server.port}"})
    botocore.auth.SigV4Auth(botocore.credentials.Credentials("test", "test"), "lambda", "us-east-1").add_auth(request)
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=20)
    head = f"POST /2015-03-31/functions/{function}/invocations HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in request.headers.items())
    connection.sendall(head.encode() + f"Content-Length: {len(request.body)}\r\n\r\n".encode() + request.body)
    tools.wait_until(lambda: instance_states(server).get("busy") == 1, what="the invocation")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()

    def recorded():
        _, text = signed_request(server, "GET", f"/_mayfly/logs?function={function}&limit=1000", b"", "mayfly")
        return b"finished gone" in text and text.count(b"REPORT RequestId") >= 2

    tools.wait_until(recorded, what="the record of the finished invocation")


def instance_states(server):
    _, text = signed_request(server, "GET", "/_mayfly/instances", b"", "mayfly")
    states = {}
    for instance in json.loads(text)["Instances"]:
        states[instance["State"]] = states.get(instance["State"], 0) + 1
    return states
