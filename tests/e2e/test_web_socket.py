"""WebSocket APIs: handshakes and who refuses them, messages and their routes, @connections from outside and from a function."""

import base64
import http.server
import json
import pathlib
import socket
import threading

import boto3
import botocore.auth
import botocore.awsrequest
import botocore.credentials
import botocore.exceptions
import pytest
import websockets.exceptions
import websockets.sync.client

from conftest import send_http, wait_until
from test_identity import sdk_package

ACCOUNT = "000000000000"
CHAT = """
import base64, boto3, json, os
from botocore.config import Config
config = Config(retries={'max_attempts': 0}, connect_timeout=5, read_timeout=10)
def handler(event, context):
    about = event['requestContext']
    print(json.dumps(event))
    query = event.get('queryStringParameters') or {}
    if query.get('fail'): raise ValueError('no')
    if about['eventType'] == 'CONNECT':
        return {'statusCode': int(query.get('status', '200')), 'headers': {'Sec-WebSocket-Protocol': query.get('protocol', '')}}
    if about['eventType'] == 'DISCONNECT': return {'statusCode': 200}
    if about['routeKey'] == 'echo': return {'statusCode': 200, 'body': json.dumps(event)}
    body = json.loads(event['body'])
    if about['routeKey'] == 'crash': raise ValueError('no')
    if about['routeKey'] == 'malformed': return {'no': 'status'}
    connections = boto3.client('apigatewaymanagementapi', config=config,
        endpoint_url=f"{os.environ['AWS_ENDPOINT_URL']}/_aws/execute-api/{about['apiId']}/{about['stage']}")
    try:
        connections.post_to_connection(ConnectionId=body['to'], Data=json.dumps({'from': about['connectionId'], 'text': body['text']}))
    except connections.exceptions.GoneException:
        connections.post_to_connection(ConnectionId=about['connectionId'], Data='gone')
    return {'statusCode': 200, 'body': 'not sent: the route does not answer'}
"""
AUTHORIZER = """
def handler(event, context):
    token = event['queryStringParameters'].get('token')
    return {'principalId': 'p', 'context': {'name': 'ada', 'count': 3}, 'policyDocument': {'Version': '2012-10-17', 'Statement': [
        {'Effect': 'Allow' if token == 'good' else 'Deny', 'Action': 'execute-api:Invoke', 'Resource': event['methodArn']}]}}
"""


@pytest.fixture(scope="module")
def gateway(server):
    return server.client("apigatewayv2")


@pytest.fixture(scope="module")
def functions(server, make_function, lambda_client):
    trust = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}}
    iam = server.client("iam")
    iam.create_role(RoleName="chat", AssumeRolePolicyDocument=json.dumps(trust))
    iam.put_role_policy(RoleName="chat", PolicyName="own", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "execute-api:ManageConnections", "Resource": f"arn:aws:execute-api:us-east-1:{ACCOUNT}:*/dev/POST/@connections/*"}]}))
    package = sdk_package(CHAT)
    add_data(package, "apigatewaymanagementapi")
    make_function("chat", "python3.11", "app.handler", package, Timeout=30, MemorySize=512)
    lambda_client.update_function_configuration(FunctionName="chat", Role=f"arn:aws:iam::{ACCOUNT}:role/chat")
    lambda_client.get_waiter("function_updated_v2").wait(FunctionName="chat")
    make_function("ws-authorizer", "python3.11", "app.handler", {"app.py": AUTHORIZER}, Timeout=10)
    for name in ("chat", "ws-authorizer"):
        lambda_client.add_permission(FunctionName=name, StatementId="gateway", Action="lambda:InvokeFunction", Principal="apigateway.amazonaws.com",
                                     SourceArn=f"arn:aws:execute-api:us-east-1:{ACCOUNT}:*/*")
    return {name: f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:{name}" for name in ("chat", "ws-authorizer")}


def add_data(package, service):
    site = pathlib.Path(boto3.__file__).parents[1]
    for path in (site / "botocore" / "data" / service).rglob("*"):
        if path.is_file():
            package[str(path.relative_to(site))] = path.read_bytes()


def make_api(gateway, arn, routes, answers=(), **connect):
    made = gateway.create_api(Name="chat", ProtocolType="WEBSOCKET", RouteSelectionExpression="$request.body.action")
    api = made["ApiId"]
    target = "integrations/" + gateway.create_integration(ApiId=api, IntegrationType="AWS_PROXY", IntegrationUri=arn)["IntegrationId"]
    for key in routes:
        settings = {"RouteResponseSelectionExpression": "$default"} if key in answers else {}
        settings.update(connect if key == "$connect" else {})
        route = gateway.create_route(ApiId=api, RouteKey=key, Target=target, **settings)["RouteId"]
        if key in answers:
            gateway.create_route_response(ApiId=api, RouteId=route, RouteResponseKey="$default")
    gateway.create_stage(ApiId=api, StageName="dev", AutoDeploy=True, AccessLogSettings={
        "DestinationArn": f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:ws-access",
        "Format": "$context.requestId $context.eventType $context.routeKey $context.connectionId $context.status"})
    return made


@pytest.fixture(scope="module")
def api(gateway, functions):
    return make_api(gateway, functions["chat"], ["$connect", "$disconnect", "echo", "send", "crash", "malformed"], answers=["echo"])


@pytest.fixture(scope="module")
def dial(server):
    def connect(api, target="/dev", **settings):
        host = f"{api['ApiId']}.execute-api.localhost:{server.port}"
        return websockets.sync.client.connect(f"ws://{host}{target}", sock=socket.create_connection(("127.0.0.1", server.port)), compression=None, **settings)

    return connect


def ask(client, **message):
    client.send(json.dumps(message))
    return json.loads(client.recv(timeout=20))


def management(server, api, stage="dev", **keys):
    return server.client("apigatewaymanagementapi", endpoint_url=f"{server.endpoint}/_aws/execute-api/{api['ApiId']}/{stage}", **keys)


def code_of(operation, **settings):
    with pytest.raises(botocore.exceptions.ClientError) as error:
        operation(**settings)
    return error.value.response["Error"]["Code"], error.value.response["ResponseMetadata"]["HTTPStatusCode"]


def refused(dial, api, target, **settings):
    with pytest.raises(websockets.exceptions.InvalidStatus) as error:
        dial(api, target, **settings)
    return error.value.response.status_code, json.loads(error.value.response.body or b"{}")


def closed(client):
    with pytest.raises(websockets.exceptions.ConnectionClosed):
        client.recv(timeout=20)
    return client.protocol.close_code, client.protocol.close_reason


def test_two_clients_talk_through_a_function_that_uses_its_role(server, api, dial):
    assert api["ApiEndpoint"] == f"ws://{api['ApiId']}.execute-api.localhost:{server.port}" and api["ProtocolType"] == "WEBSOCKET"
    with dial(api, user_agent_header="tester") as one, dial(api) as two:
        first, second = (ask(client, action="echo")["requestContext"]["connectionId"] for client in (one, two))
        two.send(json.dumps({"action": "send", "to": first, "text": "hello"}))
        assert json.loads(one.recv(timeout=20)) == {"from": second, "text": "hello"}
        # What a client asks of one that has gone is told to the function.
        two.send(json.dumps({"action": "send", "to": "L0SM9cOFvHcCIhw=", "text": "hello"}))
        assert two.recv(timeout=20) == "gone"


def test_events_of_messages_and_answers(server, api, dial):
    with dial(api, user_agent_header="tester") as client:
        event = ask(client, action="echo", x=[1, "ä"])
    about = event["requestContext"]
    assert json.loads(event["body"]) == {"action": "echo", "x": [1, "ä"]} and event["isBase64Encoded"] is False
    assert set(event) == {"requestContext", "body", "isBase64Encoded"}
    assert set(about) == {"routeKey", "messageId", "eventType", "extendedRequestId", "requestTime", "messageDirection", "stage", "connectedAt",
                          "requestTimeEpoch", "identity", "requestId", "domainName", "connectionId", "apiId"}
    assert (about["routeKey"], about["eventType"], about["messageDirection"], about["stage"]) == ("echo", "MESSAGE", "IN", "dev")
    assert about["identity"] == {"sourceIp": "127.0.0.1", "userAgent": "tester"} and about["apiId"] == api["ApiId"]
    assert about["domainName"] == f"{api['ApiId']}.execute-api.localhost" and len(base64.b64decode(about["connectionId"])) == 11


def test_what_a_message_gets_that_nobody_answers(api, dial):
    with dial(api) as client:
        for text in ("no JSON", '{"action": "other"}', '{"action": "$connect"}', '{"a": 1}', "[]", ""):
            client.send(text)
            answer = json.loads(client.recv(timeout=20))
            assert answer["message"] == "Forbidden" and set(answer) == {"message", "connectionId", "requestId"}, text
        for action in ("crash", "malformed"):
            assert ask(client, action=action)["message"] == "Internal server error"
        assert ask(client, action="echo")["requestContext"]["routeKey"] == "echo"


def test_handshakes_are_decided_by_the_connect_route(server, api, dial):
    with dial(api, "/dev?protocol=chat.v2", subprotocols=["chat.v1", "chat.v2"]) as client:
        assert client.subprotocol == "chat.v2"
    with dial(api, "/dev/?status=204"):
        pass
    for status in (301, 401, 403, 503):
        assert refused(dial, api, f"/dev?status={status}")[0] == status
    status, body = refused(dial, api, "/dev?fail=1")
    assert (status, body["message"]) == (502, "Internal server error") and set(body) == {"message", "connectionId", "requestId"}
    assert refused(dial, api, "/nostage") == (403, {"message": "Forbidden"})
    assert refused(dial, api, "/dev/path")[0] == 403
    host = f"{api['ApiId']}.execute-api.localhost"
    plain = send_http(server, host, "/dev")
    assert plain.status == 426 and plain.headers["Upgrade"] == "websocket"
    handshake = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==", "Sec-WebSocket-Version": "8"}
    old = send_http(server, host, "/dev", headers=handshake)
    assert old.status == 426 and old.headers["Sec-WebSocket-Version"] == "13"
    assert send_http(server, host, "/dev", headers={**handshake, "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "short"}).status == 400


def test_an_authorizer_decides_before_the_connect_route(gateway, functions, dial):
    made = make_api(gateway, functions["chat"], ["$connect", "echo"], answers=["echo"])
    api = made["ApiId"]
    authorizer = gateway.create_authorizer(ApiId=api, Name="a", AuthorizerType="REQUEST", IdentitySource=["route.request.querystring.token"],
                                           AuthorizerUri=functions["ws-authorizer"])["AuthorizerId"]
    route = next(one["RouteId"] for one in gateway.get_routes(ApiId=api)["Items"] if one["RouteKey"] == "$connect")
    gateway.update_route(ApiId=api, RouteId=route, AuthorizationType="CUSTOM", AuthorizerId=authorizer)
    status, body = refused(dial, made, "/dev")
    assert (status, body["message"]) == (401, "Unauthorized")
    status, body = refused(dial, made, "/dev?token=bad")
    assert (status, body["message"]) == (403, "Forbidden")
    with dial(made, "/dev?token=good") as client:
        assert ask(client, action="echo")["requestContext"]["authorizer"] == {"name": "ada", "count": "3", "principalId": "p"}
    gateway.delete_api(ApiId=api)


def signed_headers(url, keys):
    request = botocore.awsrequest.AWSRequest("GET", url)
    credentials = botocore.credentials.Credentials(keys["AccessKeyId"], keys["SecretAccessKey"])
    botocore.auth.SigV4Auth(credentials, "execute-api", "us-east-1").add_auth(request)
    return {name: request.headers[name] for name in ("Authorization", "X-Amz-Date")}


def test_signatures_open_a_connect_route_that_wants_them(server, gateway, functions, dial):
    made = make_api(gateway, functions["chat"], ["$connect", "echo"], answers=["echo"], AuthorizationType="AWS_IAM")
    iam = server.client("iam")
    iam.create_user(UserName="caller")
    keys = iam.create_access_key(UserName="caller")["AccessKey"]
    url = f"http://{made['ApiId']}.execute-api.localhost:{server.port}/dev"
    assert refused(dial, made, "/dev")[0] == 403
    assert refused(dial, made, "/dev", additional_headers=signed_headers(url, keys))[0] == 403
    iam.put_user_policy(UserName="caller", PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "execute-api:Invoke", "Resource": f"arn:aws:execute-api:us-east-1:{ACCOUNT}:{made['ApiId']}/dev/$connect"}]}))
    with dial(made, additional_headers=signed_headers(url, keys)) as client:
        assert ask(client, action="echo")["requestContext"]["identity"]["userArn"] == f"arn:aws:iam::{ACCOUNT}:user/caller"
    gateway.delete_api(ApiId=made["ApiId"])


def test_a_function_whose_policy_does_not_allow_it_is_not_invoked(gateway, make_function, lambda_client, dial):
    make_function("ws-closed", "python3.11", "app.handler", {"app.py": "def handler(e, c): return {'statusCode': 200, 'body': 'ok'}"})
    made = make_api(gateway, f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:ws-closed", ["$connect", "say"], answers=["say"])

    def allow(route):
        lambda_client.add_permission(FunctionName="ws-closed", StatementId=route.strip("$"), Action="lambda:InvokeFunction", Principal="apigateway.amazonaws.com",
                                     SourceArn=f"arn:aws:execute-api:us-east-1:{ACCOUNT}:{made['ApiId']}/dev/{route}")

    assert refused(dial, made, "/dev")[0] == 500
    allow("$connect")
    with dial(made) as client:
        assert ask(client, action="say")["message"] == "Internal server error"
        allow("say")
        client.send('{"action": "say"}')
        assert client.recv(timeout=20) == "ok"
    gateway.delete_api(ApiId=made["ApiId"])


def test_connections_are_managed_by_who_may(server, api, dial):
    connections = management(server, api)
    with dial(api, user_agent_header="tester") as client:
        own = ask(client, action="echo")["requestContext"]["connectionId"]
        connections.post_to_connection(ConnectionId=own, Data="grüße".encode())
        assert client.recv(timeout=20) == "grüße"
        told = connections.get_connection(ConnectionId=own)
        assert told["Identity"] == {"SourceIp": "127.0.0.1", "UserAgent": "tester"} and told["ConnectedAt"] <= told["LastActiveAt"]
        connections.post_to_connection(ConnectionId=own, Data=b"x" * 131072)
        assert len(client.recv(timeout=20)) == 131072
        assert code_of(connections.post_to_connection, ConnectionId=own, Data=b"x" * 131073) == ("PayloadTooLargeException", 413)
        assert code_of(connections.post_to_connection, ConnectionId=own, Data=b"\xff") == ("BadRequestException", 400)
        # The same by host name, as AWS has it.
        by_host = send_http(server, f"{api['ApiId']}.execute-api.localhost", f"/dev/@connections/{own}")
        assert by_host.status == 403 and by_host.json()["message"] == "Missing Authentication Token"
        # Connections are found by API and stage.
        assert code_of(management(server, {"ApiId": "other"}).get_connection, ConnectionId=own)[1] == 404
        iam = server.client("iam")
        iam.create_user(UserName="manager")
        keys = iam.create_access_key(UserName="manager")["AccessKey"]
        mine = management(server, api, aws_access_key_id=keys["AccessKeyId"], aws_secret_access_key=keys["SecretAccessKey"])
        assert code_of(mine.get_connection, ConnectionId=own) == ("ForbiddenException", 403)
        iam.put_user_policy(UserName="manager", PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": "execute-api:ManageConnections", "Resource": f"arn:aws:execute-api:us-east-1:{ACCOUNT}:{api['ApiId']}/dev/GET/@connections/{own}"}]}))
        assert mine.get_connection(ConnectionId=own)["Identity"]["UserAgent"] == "tester"
        assert code_of(mine.delete_connection, ConnectionId=own) == ("ForbiddenException", 403)
        connections.delete_connection(ConnectionId=own)
        assert closed(client) == (1000, "Connection Closed Normally")
    for operation in (connections.get_connection, connections.delete_connection):
        assert code_of(operation, ConnectionId=own) == ("GoneException", 410)
    assert code_of(connections.post_to_connection, ConnectionId=own, Data=b"x") == ("GoneException", 410)


def test_what_is_too_much_or_binary_ends_a_connection(server, api, dial):
    logs = server.data_dir / "data" / "logs"

    def seen(*words):
        files = [path.read_text(errors="replace") for path in logs.rglob("*") if path.is_file()]
        return any(all(word in line for word in words) for text in files for line in text.splitlines())

    with dial(api) as client:
        own = ask(client, action="echo")["requestContext"]["connectionId"]
        client.send(b"\0\1")
        assert closed(client)[0] == 1003
    wait_until(lambda: seen("disconnectStatusCode", own, "1003"), what="the $disconnect event")
    with dial(api) as client:
        client.send("x" * 32769)  # a frame
        assert closed(client)[0] == 1009
    with dial(api) as client:
        client.send("x" * 30000 for _ in range(5))  # a message of several
        assert closed(client)[0] == 1009
    with dial(api) as client:
        own = ask(client, action="echo")["requestContext"]["connectionId"]
        client.close(4001, "bye")
    wait_until(lambda: seen("disconnectStatusCode", own, "4001", "bye"), what="the $disconnect event")
    wait_until(lambda: seen("DISCONNECT $disconnect", own, "200"), what="the access log")
    assert seen("CONNECT $connect", own, "200") and seen("MESSAGE echo", own, "200")


def test_throttles_are_told_in_frames(gateway, functions, dial):
    made = make_api(gateway, functions["chat"], ["echo"], answers=["echo"])
    gateway.update_stage(ApiId=made["ApiId"], StageName="dev", RouteSettings={"echo": {"ThrottlingBurstLimit": 1, "ThrottlingRateLimit": 0.001}})
    with dial(made) as client:  # without a $connect route everybody is welcome
        assert "requestContext" in ask(client, action="echo")
        assert ask(client, action="echo")["message"] == "Too Many Requests"
        gateway.delete_api(ApiId=made["ApiId"])
        assert closed(client) == (1001, "Going away")


def test_mock_integrations_answer_by_their_templates(gateway, functions, dial):
    made = make_api(gateway, functions["chat"], ["echo"])
    api = made["ApiId"]
    mock = gateway.create_integration(ApiId=api, IntegrationType="MOCK", TemplateSelectionExpression="200", RequestTemplates={"200": '{"statusCode": 200}'})["IntegrationId"]
    response = gateway.create_integration_response(ApiId=api, IntegrationId=mock, IntegrationResponseKey="/2\\d\\d/", TemplateSelectionExpression="\\$default",
                                                   ResponseTemplates={"$default": '{"id": "$context.connectionId", "type": "$context.eventType"}'})
    assert [one["IntegrationResponseId"] for one in gateway.get_integration_responses(ApiId=api, IntegrationId=mock)["Items"]] == [response["IntegrationResponseId"]]
    route = gateway.create_route(ApiId=api, RouteKey="$default", Target=f"integrations/{mock}", RouteResponseSelectionExpression="$default")["RouteId"]
    answer = gateway.create_route_response(ApiId=api, RouteId=route, RouteResponseKey="$default")
    assert gateway.get_route_response(ApiId=api, RouteId=route, RouteResponseId=answer["RouteResponseId"])["RouteResponseKey"] == "$default"
    assert [one["RouteResponseId"] for one in gateway.get_route_responses(ApiId=api, RouteId=route)["Items"]] == [answer["RouteResponseId"]]
    assert gateway.update_route_response(ApiId=api, RouteId=route, RouteResponseId=answer["RouteResponseId"], RouteResponseKey="$default")["RouteResponseKey"] == "$default"
    with dial(made) as client:
        client.send("anything")
        told = json.loads(client.recv(timeout=20))
        assert told["type"] == "MESSAGE" and len(base64.b64decode(told["id"])) == 11
        own = {"ApiId": api, "IntegrationId": mock, "IntegrationResponseId": response["IntegrationResponseId"]}
        gateway.update_integration_response(**own, ResponseTemplates={"$default": "stage $context.stage"})
        assert gateway.get_integration_response(**own)["ResponseTemplates"] == {"$default": "stage $context.stage"}
        client.send("anything")
        assert client.recv(timeout=20) == "stage dev"
    gateway.delete_route_response(ApiId=api, RouteId=route, RouteResponseId=answer["RouteResponseId"])
    gateway.delete_integration_response(ApiId=api, IntegrationId=mock, IntegrationResponseId=response["IntegrationResponseId"])
    gateway.delete_api(ApiId=api)


def test_what_is_not_carried_out_is_refused_by_name(gateway, functions, api):
    def message(operation, **settings):
        with pytest.raises(botocore.exceptions.ClientError) as error:
            getattr(gateway, operation)(**settings)
        return error.value.response["Error"]["Message"]

    own, arn = api["ApiId"], functions["chat"]
    assert "RouteSelectionExpression" in message("create_api", Name="x", ProtocolType="WEBSOCKET")
    assert "Target" in message("create_api", Name="x", ProtocolType="WEBSOCKET", RouteSelectionExpression="$request.body.a", Target=arn)
    assert "RouteSelectionExpression" in message("update_api", ApiId=own, RouteSelectionExpression="$request.header.a")
    assert "restricted to the $connect route" in message("create_route", ApiId=own, RouteKey="x", AuthorizationType="AWS_IAM")
    assert "ApiKeyRequired" in message("create_route", ApiId=own, RouteKey="x", ApiKeyRequired=True)
    assert "RequestModels" in message("create_route", ApiId=own, RouteKey="x", RequestModels={"$default": "m"})
    assert "already exists" in message("create_route", ApiId=own, RouteKey="echo")
    assert "not formatted" in message("create_route", ApiId=own, RouteKey="$other")
    assert "IntegrationType AWS" in message("create_integration", ApiId=own, IntegrationType="AWS", IntegrationUri=arn)
    assert "ContentHandlingStrategy" in message("create_integration", ApiId=own, IntegrationType="AWS_PROXY", IntegrationUri=arn, ContentHandlingStrategy="CONVERT_TO_BINARY")
    assert "RequestTemplates" in message("create_integration", ApiId=own, IntegrationType="MOCK", RequestTemplates={"$default": "#set($x = 1)"})
    assert "29000" in message("create_integration", ApiId=own, IntegrationType="AWS_PROXY", IntegrationUri=arn, TimeoutInMillis=30000)
    assert "REQUEST" in message("create_authorizer", ApiId=own, Name="j", AuthorizerType="JWT", IdentitySource=["$request.header.A"], JwtConfiguration={"Issuer": "https://a", "Audience": ["b"]})
    assert "$default" in message("create_stage", ApiId=own, StageName="$default")
    assert "DataTraceEnabled" in message("create_stage", ApiId=own, StageName="x", DefaultRouteSettings={"DataTraceEnabled": True})
    assert "CorsConfiguration" in message("update_api", ApiId=own, CorsConfiguration={"AllowOrigins": ["*"]})
    gateway.create_domain_name(DomainName="ws.example.com")
    gateway.create_api_mapping(DomainName="ws.example.com", ApiId=own, Stage="dev")
    other = gateway.create_api(Name="h", ProtocolType="HTTP", Target=arn)["ApiId"]
    assert "together with other APIs" in message("create_api_mapping", DomainName="ws.example.com", ApiId=other, Stage="$default", ApiMappingKey="h")
    gateway.delete_api(ApiId=other)


def test_http_backends_get_messages_and_what_is_mapped(gateway, functions, dial):
    heard = []

    class Backend(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"] or 0))
            heard.append((self.path, dict(self.headers), body))
            self.send_response(404 if b"lost" in body else 200)
            self.send_header("Content-Length", "4")
            self.end_headers()
            self.wfile.write(b"back")

        def log_message(self, *arguments):
            pass

    backend = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Backend)
    threading.Thread(target=backend.serve_forever, daemon=True).start()
    made = make_api(gateway, functions["chat"], ["echo"], answers=["echo"])
    api = made["ApiId"]
    target = "integrations/" + gateway.create_integration(
        ApiId=api, IntegrationType="HTTP_PROXY", IntegrationMethod="POST", IntegrationUri=f"http://127.0.0.1:{backend.server_address[1]}/in",
        RequestParameters={"integration.request.header.connection-id": "context.connectionId", "integration.request.header.who": "route.request.body.who",
                           "integration.request.querystring.stage": "context.stage"})["IntegrationId"]
    for key in ("$connect", "$default"):
        route = gateway.create_route(ApiId=api, RouteKey=key, Target=target, RouteResponseSelectionExpression="$default")["RouteId"]
        gateway.create_route_response(ApiId=api, RouteId=route, RouteResponseKey="$default")
    with dial(made, additional_headers={"X-Token": "t"}) as client:
        own = ask(client, action="echo")["requestContext"]["connectionId"]
        assert heard[0][0] == "/in?stage=dev" and heard[0][1]["connection-id"] == own and heard[0][1]["X-Token"] == "t"
        assert not any(name.lower().startswith("sec-websocket") or name.lower() == "upgrade" for name in heard[0][1])
        client.send('{"who": "ada"}')
        assert client.recv(timeout=20) == "back"
        assert heard[1][2] == b'{"who": "ada"}' and heard[1][1]["who"] == "ada" and heard[1][1]["connection-id"] == own and "X-Token" not in heard[1][1]
        client.send('"lost"')
        assert client.recv(timeout=20) == "back"
    backend.shutdown()
    backend.server_close()
    gateway.delete_api(ApiId=api)


def test_custom_domain_names_and_other_kinds_by_path(server, gateway, functions, api):
    gateway.create_domain_name(DomainName="chat.example.com")
    gateway.create_api_mapping(DomainName="chat.example.com", ApiId=api["ApiId"], Stage="dev", ApiMappingKey="v1")
    for url, domain in (("ws://chat.example.com/v1", "chat.example.com"),
                        (f"ws://127.0.0.1:{server.port}/_aws/execute-api/{api['ApiId']}/dev", f"{api['ApiId']}.execute-api.localhost")):
        with websockets.sync.client.connect(url, sock=socket.create_connection(("127.0.0.1", server.port)), compression=None) as client:
            own = ask(client, action="echo")["requestContext"]
            assert own["domainName"] == domain and own["stage"] == "dev"
            # The management API comes by the same ways.
            path = f"/v1/@connections/{own['connectionId']}" if domain == "chat.example.com" else f"/_aws/execute-api/{api['ApiId']}/dev/@connections/x"
            assert send_http(server, "chat.example.com" if path.startswith("/v1") else "127.0.0.1", path).json()["message"] == "Missing Authentication Token"
    http_api = gateway.create_api(Name="h", ProtocolType="HTTP", Target=functions["chat"])["ApiId"]
    event = send_http(server, f"127.0.0.1:{server.port}", f"/_aws/execute-api/{http_api}/a/b?fail=1")
    assert event.status == 500  # the function was asked
    gateway.delete_api(ApiId=http_api)


def test_deployments_hold_and_a_stopping_server_says_so(new_server, tools):
    server = new_server().start()
    gateway = server.client("apigatewayv2")
    server.client().create_function(FunctionName="f", Runtime="python3.11", Handler="app.handler", Role=tools.role,
                                    Code={"ZipFile": tools.zip_bytes({"app.py": "import json\ndef handler(e, c):\n    print(json.dumps(e))\n    return {'statusCode': 200, 'body': 'ok'}"})})
    server.client().get_waiter("function_active_v2").wait(FunctionName="f")
    tools.allow_service(server, f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:f", "apigateway")
    made = gateway.create_api(Name="w", ProtocolType="WEBSOCKET", RouteSelectionExpression="$request.body.action")
    api = made["ApiId"]
    target = "integrations/" + gateway.create_integration(ApiId=api, IntegrationType="AWS_PROXY", IntegrationUri=f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:f")["IntegrationId"]
    for key in ("$default", "$disconnect"):
        route = gateway.create_route(ApiId=api, RouteKey=key, Target=target, RouteResponseSelectionExpression="$default")["RouteId"]
        gateway.create_route_response(ApiId=api, RouteId=route, RouteResponseKey="$default")
    deployment = gateway.create_deployment(ApiId=api)["DeploymentId"]
    gateway.create_stage(ApiId=api, StageName="prod", DeploymentId=deployment)
    gateway.delete_route(ApiId=api, RouteId=next(one["RouteId"] for one in gateway.get_routes(ApiId=api)["Items"] if one["RouteKey"] == "$default"))
    server.kill()
    server.start()
    raw = socket.create_connection(("127.0.0.1", server.port))
    with websockets.sync.client.connect(f"ws://{api}.execute-api.localhost:{server.port}/prod", sock=raw, compression=None) as client:
        client.send("x")
        assert client.recv(timeout=20) == "ok"
        assert server.stop() == 0
        assert closed(client) == (1001, "Going away")
    texts = [path.read_text(errors="replace") for path in (server.data_dir / "data" / "logs").rglob("*") if path.is_file()]
    assert any('"disconnectStatusCode": 1001' in text.replace("\\", "") for text in texts)
