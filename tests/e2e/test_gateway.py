"""HTTP APIs through the gateway: quick create, routes, payload formats, CORS, throttles, stages, HTTP proxies."""

import contextlib
import http.client
import http.server
import json
import socket
import threading

import botocore.exceptions
import pytest

from conftest import send_http

ACCOUNT = "000000000000"
ECHO = """
import json
def handler(event, context):
    return {"statusCode": 200, "headers": {"content-type": "application/json"}, "body": json.dumps(event)}
"""
SHAPES = """
import json
def handler(event, context):
    kind = (event.get("queryStringParameters") or {}).get("kind", "")
    if kind == "plain": return {"hello": "world"}
    if kind == "cookies": return {"statusCode": 201, "cookies": ["a=1", "b=2"], "body": "made"}
    if kind == "bytes": return {"statusCode": 200, "headers": {"content-type": "image/png"}, "body": "AAEC", "isBase64Encoded": True}
    if kind == "error": raise ValueError("no")
    if kind == "bad": return {"statusCode": 200, "body": "!", "isBase64Encoded": True}
    if kind == "slow":
        import time; time.sleep(2)
    return {"statusCode": 200, "multiValueHeaders": {"x-many": ["1", "2"]}, "body": "one"}
"""


@pytest.fixture(scope="module")
def call(server):
    def send(host, method="GET", path="/", body=None, headers=None):
        return send_http(server, host, path, method, body, headers)

    return send


@pytest.fixture(scope="module")
def gateway(server):
    return server.client("apigatewayv2")


@pytest.fixture(scope="module")
def functions(make_function, lambda_client):
    for name, code in (("gw-echo", ECHO), ("gw-shapes", SHAPES)):
        make_function(name, "python3.11", "app.handler", {"app.py": code}, Timeout=10)
        lambda_client.add_permission(FunctionName=name, StatementId="gateway", Action="lambda:InvokeFunction",
                                     Principal="apigateway.amazonaws.com", SourceArn=f"arn:aws:execute-api:us-east-1:{ACCOUNT}:*/*")
    return {name: f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:{name}" for name in ("gw-echo", "gw-shapes")}


def host_of(api):
    return api["ApiId"] + ".execute-api.localhost"


@pytest.fixture(scope="module")
def api(gateway, functions):
    """An API with an automatically deployed $default stage and a few routes."""
    made = gateway.create_api(Name="routes", ProtocolType="HTTP", CorsConfiguration={
        "AllowOrigins": ["https://a.example"], "AllowMethods": ["GET", "POST"], "AllowHeaders": ["x-a"], "MaxAge": 60})
    add = {}
    for name, arn, version in (("echo", functions["gw-echo"], "2.0"), ("echo1", functions["gw-echo"], "1.0"),
                               ("shapes", functions["gw-shapes"], "2.0"), ("shapes1", functions["gw-shapes"], "1.0")):
        add[name] = gateway.create_integration(ApiId=made["ApiId"], IntegrationType="AWS_PROXY", IntegrationUri=arn,
                                               PayloadFormatVersion=version)["IntegrationId"]
    for key, name in (("GET /pets/{id}", "echo"), ("GET /v1/pets/{id}", "echo1"), ("ANY /files/{proxy+}", "echo"),
                      ("ANY /shapes", "shapes"), ("ANY /shapes1", "shapes1"), ("POST /pets", "echo")):
        gateway.create_route(ApiId=made["ApiId"], RouteKey=key, Target=f"integrations/{add[name]}")
    gateway.create_stage(ApiId=made["ApiId"], StageName="$default", AutoDeploy=True, StageVariables={"color": "red"})
    made["integrations"] = add
    return made


def test_quick_create_serves_a_function_at_once(gateway, functions, call):
    made = gateway.create_api(Name="quick", ProtocolType="HTTP", Target=functions["gw-echo"])
    assert made["ApiEndpoint"].startswith(f"http://{made['ApiId']}.execute-api.localhost:")
    answer = call(host_of(made), "POST", "/a/b?x=1&x=2", body='{"k":1}', headers={"Content-Type": "application/json", "Cookie": "c=1"})
    assert answer.status == 200, answer.body
    event = answer.json()
    assert (event["version"], event["routeKey"], event["rawPath"], event["rawQueryString"]) == ("2.0", "$default", "/a/b", "x=1&x=2")
    assert event["queryStringParameters"] == {"x": "1,2"} and event["cookies"] == ["c=1"] and event["body"] == '{"k":1}'
    context = event["requestContext"]
    assert context["apiId"] == made["ApiId"] and context["accountId"] == ACCOUNT and context["stage"] == "$default"
    assert context["http"]["method"] == "POST" and context["domainPrefix"] == made["ApiId"]
    assert answer.headers["apigw-requestid"] == context["requestId"]
    # The form of the address that AWS has works too.
    assert call(f"{made['ApiId']}.execute-api.us-east-1.amazonaws.com").status == 200
    stage = gateway.get_stage(ApiId=made["ApiId"], StageName="$default")
    assert stage["AutoDeploy"] and stage["ApiGatewayManaged"] and "Successfully deployed" in stage["LastDeploymentStatusMessage"]
    gateway.delete_api(ApiId=made["ApiId"])
    assert call(host_of(made)).status == 404


def test_a_function_whose_policy_does_not_allow_it_is_not_invoked(gateway, make_function, lambda_client, call):
    make_function("gw-closed", "python3.11", "app.handler", {"app.py": ECHO})
    arn = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:gw-closed"
    made = gateway.create_api(Name="closed", ProtocolType="HTTP", Target=arn, RouteKey="GET /x")
    refused = call(host_of(made), path="/x")
    assert (refused.status, refused.json()) == (500, {"message": "Internal Server Error"})

    def allow(source):
        lambda_client.add_permission(FunctionName="gw-closed", StatementId="s", Action="lambda:InvokeFunction",
                                     Principal="apigateway.amazonaws.com", SourceArn=source)

    allow(f"arn:aws:execute-api:us-east-1:{ACCOUNT}:other/*/*")
    assert call(host_of(made), path="/x").status == 500
    lambda_client.remove_permission(FunctionName="gw-closed", StatementId="s")
    allow(f"arn:aws:execute-api:us-east-1:{ACCOUNT}:{made['ApiId']}/*/GET/x")
    assert call(host_of(made), path="/x").status == 200
    gateway.delete_api(ApiId=made["ApiId"])


def test_routes_and_their_parameters(api, call):
    event = call(host_of(api), path="/pets/a%2Fb").json()
    assert event["routeKey"] == "GET /pets/{id}" and event["pathParameters"] == {"id": "a/b"} and event["stageVariables"] == {"color": "red"}
    assert call(host_of(api), "PUT", "/files/x/y").json()["pathParameters"] == {"proxy": "x/y"}
    for method, path in (("GET", "/nothing"), ("DELETE", "/pets/1"), ("GET", "/pets/"), ("GET", "//pets/1"), ("GET", "/pets%2F1")):
        missing = call(host_of(api), method, path)
        assert (missing.status, missing.json()) == (404, {"message": "Not Found"}), path
    for path in ("/files/../pets/1", "/files/%2e%2e/pets/1", "/files/..%2fpets", "/files/%00", "/files/%zz"):
        assert call(host_of(api), path=path).status == 400, path


def test_payload_format_1_0(api, call):
    event = call(host_of(api), path="/v1/pets/7?q=1&q=2", headers={"X-Many": "a"}).json()
    assert event["version"] == "1.0" and event["resource"] == "/v1/pets/{id}" and event["httpMethod"] == "GET"
    assert event["multiValueQueryStringParameters"] == {"q": ["1", "2"]} and event["multiValueHeaders"]["X-Many"] == ["a"]
    assert event["requestContext"]["resourcePath"] == "/v1/pets/{id}" and event["body"] is None


def test_what_a_function_answers(api, call):
    host = host_of(api)
    plain = call(host, path="/shapes?kind=plain")
    assert plain.json() == {"hello": "world"} and plain.headers["content-type"] == "application/json"
    made = call(host, path="/shapes?kind=cookies")
    assert made.status == 201 and made.headers.get_all("set-cookie") == ["a=1", "b=2"] and made.body == b"made"
    assert made.headers["content-type"] == "text/plain; charset=utf-8"
    assert call(host, path="/shapes?kind=bytes").body == b"\x00\x01\x02"
    assert call(host, path="/shapes1").headers.get_all("x-many") == ["1", "2"]
    for path in ("/shapes?kind=error", "/shapes?kind=bad", "/shapes1?kind=plain"):
        failed = call(host, path=path)
        assert (failed.status, failed.json()) == (500, {"message": "Internal Server Error"}), path


def test_cors(api, call):
    host = host_of(api)
    preflight = call(host, "OPTIONS", "/pets/1", headers={"Origin": "https://a.example", "Access-Control-Request-Method": "GET"})
    assert preflight.status == 204 and preflight.headers["access-control-allow-origin"] == "https://a.example"
    assert preflight.headers["access-control-allow-methods"] == "GET,POST" and preflight.headers["access-control-max-age"] == "60"
    assert call(host, path="/pets/1", headers={"Origin": "https://a.example"}).headers["access-control-allow-origin"] == "https://a.example"
    assert call(host, path="/pets/1", headers={"Origin": "https://evil.example"}).headers["access-control-allow-origin"] is None


def test_stages_and_deployments(gateway, functions, call):
    made = gateway.create_api(Name="stages", ProtocolType="HTTP")
    api_id, host = made["ApiId"], host_of(made)
    integration = gateway.create_integration(ApiId=api_id, IntegrationType="AWS_PROXY", IntegrationUri=functions["gw-echo"],
                                             PayloadFormatVersion="2.0")["IntegrationId"]
    gateway.create_route(ApiId=api_id, RouteKey="GET /one", Target=f"integrations/{integration}")
    gateway.create_stage(ApiId=api_id, StageName="prod")
    assert call(host, path="/prod/one").status == 404  # nothing is deployed
    first = gateway.create_deployment(ApiId=api_id, StageName="prod")["DeploymentId"]
    event = call(host, path="/prod/one").json()
    assert event["rawPath"] == "/prod/one" and event["requestContext"]["stage"] == "prod"
    gateway.create_route(ApiId=api_id, RouteKey="GET /two", Target=f"integrations/{integration}")
    assert call(host, path="/prod/two").status == 404
    second = gateway.create_deployment(ApiId=api_id)["DeploymentId"]
    gateway.update_stage(ApiId=api_id, StageName="prod", DeploymentId=second)
    assert call(host, path="/prod/two").status == 200
    gateway.update_stage(ApiId=api_id, StageName="prod", DeploymentId=first)
    assert call(host, path="/prod/two").status == 404
    with pytest.raises(gateway.exceptions.BadRequestException):
        gateway.delete_deployment(ApiId=api_id, DeploymentId=first)
    gateway.delete_deployment(ApiId=api_id, DeploymentId=second)
    # Without automatic deployment a stage stays at what it served.
    gateway.update_stage(ApiId=api_id, StageName="prod", AutoDeploy=True)
    assert call(host, path="/prod/two").status == 200
    gateway.update_stage(ApiId=api_id, StageName="prod", AutoDeploy=False)
    gateway.create_route(ApiId=api_id, RouteKey="GET /three", Target=f"integrations/{integration}")
    assert [call(host, path="/prod/" + name).status for name in ("two", "three")] == [200, 404]
    gateway.delete_api(ApiId=api_id)


def test_throttles(gateway, functions, call):
    made = gateway.create_api(Name="throttled", ProtocolType="HTTP", Target=functions["gw-echo"])
    api_id, host = made["ApiId"], host_of(made)
    gateway.update_stage(ApiId=api_id, StageName="$default", RouteSettings={
        "$default": {"ThrottlingBurstLimit": 2, "ThrottlingRateLimit": 0.01}})
    answers = [call(host) for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 200, 429]
    assert answers[2].json() == {"message": "Too Many Requests"} and int(answers[2].headers["retry-after"]) > 0
    gateway.delete_route_settings(ApiId=api_id, StageName="$default", RouteKey="$default")
    assert call(host).status == 200
    gateway.delete_api(ApiId=api_id)


class Backend(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path.startswith("/hang"):
            self.server.release.wait(20)
        body = json.dumps({"method": self.command, "path": self.path, "headers": dict(self.headers),
                           "body": self.rfile.read(int(self.headers.get("content-length", 0))).decode()}).encode()
        self.send_response(404 if self.path.startswith("/missing") else 200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Backend", "yes")
        self.end_headers()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, *arguments):
        pass


@pytest.fixture(scope="module")
def backend():
    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Backend)
    httpd.release = threading.Event()
    thread = threading.Thread(target=httpd.serve_forever, daemon=True)
    thread.start()
    yield httpd
    httpd.release.set()
    httpd.shutdown()
    httpd.server_close()


def test_http_proxies_and_parameter_mapping(gateway, backend, call):
    base = f"http://127.0.0.1:{backend.server_address[1]}"
    made = gateway.create_api(Name="proxy", ProtocolType="HTTP", Target=base)
    api_id, host = made["ApiId"], host_of(made)

    def route(key, uri, **settings):
        integration = gateway.create_integration(ApiId=api_id, IntegrationType="HTTP_PROXY", IntegrationMethod="ANY", IntegrationUri=uri,
                                                 PayloadFormatVersion="1.0", **settings)["IntegrationId"]
        gateway.create_route(ApiId=api_id, RouteKey=key, Target=f"integrations/{integration}")

    route("ANY /p/{proxy+}", base + "/{proxy}")
    route("GET /mapped/{id}", base + "/x", RequestParameters={
        "overwrite:path": "/items/$request.path.id", "append:header.x-id": "$context.requestId", "remove:querystring.secret": "''",
        "overwrite:querystring.from": "$request.header.x-from"},
        ResponseParameters={"200": {"overwrite:statuscode": "202", "append:header.x-seen": "$response.header.x-backend"}})
    route("GET /late", base + "/hang", TimeoutInMillis=200)
    route("GET /gone", "http://127.0.0.1:1/")
    passed = call(host, "POST", "/p/a%2Fb/c?q=1", body="hello", headers={"X-Forwarded-For": "6.6.6.6", "Connection": "x-mine", "X-Mine": "1"})
    seen = passed.json()
    assert passed.status == 200 and passed.headers["x-backend"] == "yes"
    assert (seen["method"], seen["path"], seen["body"]) == ("POST", "/a%2Fb/c?q=1", "hello")
    headers = {name.lower(): value for name, value in seen["headers"].items()}
    assert headers["x-forwarded-for"] == "127.0.0.1" and headers["host"].startswith("127.0.0.1:") and "x-mine" not in headers
    assert call(host, path="/missing").status == 404
    mapped = call(host, path="/mapped/7?secret=1&a=b", headers={"X-From": "me"})
    assert mapped.status == 202 and mapped.headers["x-seen"] == "yes"
    assert mapped.json()["path"] == "/items/7?a=b&from=me" and mapped.json()["headers"]["x-id"] == mapped.headers["apigw-requestid"]
    late = call(host, path="/late")
    assert (late.status, late.json()) == (503, {"message": "Service Unavailable"})
    assert call(host, path="/gone").status == 500
    # Addresses where a cloud tells a machine its secrets are not connected to.
    route("GET /metadata", "http://169.254.169.254/latest/meta-data/")
    route("GET /mapped-metadata", "http://[::ffff:169.254.169.254]/")
    assert [call(host, path=path).status for path in ("/metadata", "/mapped-metadata")] == [500, 500]
    gateway.delete_api(ApiId=api_id)


def test_access_logs(gateway, functions, server, call, tools):
    made = gateway.create_api(Name="logged", ProtocolType="HTTP", Target=functions["gw-echo"])
    gateway.update_stage(ApiId=made["ApiId"], StageName="$default", AccessLogSettings={
        "DestinationArn": f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:/gateway/logged",
        "Format": '{"id":"$context.requestId","status":"$context.status","path":"$context.path","agent":"$context.identity.userAgent",'
                  '"key":"$context.routeKey"}'})
    answer = call(host_of(made), path="/x", headers={"User-Agent": 'evil","status":"999'})

    def lines():
        folder = server.data_dir / "data" / "logs"
        return [text for path in folder.rglob("*") if path.is_file() for text in path.read_text(errors="replace").splitlines()
                if answer.headers["apigw-requestid"] in text]

    tools.wait_until(lambda: any("agent" in line for line in lines()), what="the access log's line")
    line = next(line for line in lines() if "agent" in line)
    entry = json.loads(json.loads(line)["m"])
    assert entry == {"id": answer.headers["apigw-requestid"], "status": "200", "path": "/x", "agent": 'evil","status":"999', "key": "$default"}
    gateway.delete_api(ApiId=made["ApiId"])


def test_custom_domain_names(gateway, api, call):
    gateway.create_domain_name(DomainName="api.example.com", DomainNameConfigurations=[{"EndpointType": "REGIONAL"}])
    mapping = gateway.create_api_mapping(DomainName="api.example.com", ApiId=api["ApiId"], Stage="$default", ApiMappingKey="shop/v1")
    event = call("api.example.com", path="/shop/v1/pets/3").json()
    assert event["pathParameters"] == {"id": "3"} and event["requestContext"]["domainName"] == "api.example.com"
    assert call("api.example.com", path="/shop/v10/pets/3").status == 404
    assert call("api.example.com", path="/pets/3").status == 404
    gateway.update_api(ApiId=api["ApiId"], DisableExecuteApiEndpoint=True)
    assert call(host_of(api), path="/pets/3").status == 404 and call("api.example.com", path="/shop/v1/pets/3").status == 200
    gateway.update_api(ApiId=api["ApiId"], DisableExecuteApiEndpoint=False)
    with pytest.raises(gateway.exceptions.BadRequestException):
        gateway.delete_api(ApiId=api["ApiId"])
    gateway.delete_api_mapping(DomainName="api.example.com", ApiMappingId=mapping["ApiMappingId"])
    gateway.delete_domain_name(DomainName="api.example.com")


def test_apis_survive_a_restart(new_server, tools):
    server = new_server().start()
    gateway = server.client("apigatewayv2")
    made = gateway.create_api(Name="kept", ProtocolType="HTTP", Target="http://127.0.0.1:1", Tags={"a": "b"})
    gateway.create_deployment(ApiId=made["ApiId"])
    before = [gateway.get_api(ApiId=made["ApiId"]), gateway.get_routes(ApiId=made["ApiId"])["Items"],
              gateway.get_stages(ApiId=made["ApiId"])["Items"], gateway.get_deployments(ApiId=made["ApiId"])["Items"]]
    server.kill()
    server.start()
    gateway = server.client("apigatewayv2")
    after = [gateway.get_api(ApiId=made["ApiId"]), gateway.get_routes(ApiId=made["ApiId"])["Items"],
             gateway.get_stages(ApiId=made["ApiId"])["Items"], gateway.get_deployments(ApiId=made["ApiId"])["Items"]]
    for state in (before, after):
        state[0].pop("ResponseMetadata"), state[0].pop("ApiEndpoint")
    assert before == after
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.request("GET", "/", headers={"Host": host_of(made)})
    assert connection.getresponse().status == 500  # the integration cannot be reached; the route is there
    connection.close()


def test_what_is_not_carried_out_is_refused_by_name(gateway, api, functions):
    def refused(operation, **settings):
        with pytest.raises(botocore.exceptions.ClientError) as error:
            getattr(gateway, operation)(**settings)
        return error.value.response["Error"]["Message"]

    api_id, arn = api["ApiId"], functions["gw-echo"]
    assert "DisableSchemaValidation" in refused("create_api", Name="x", ProtocolType="HTTP", DisableSchemaValidation=True)
    assert "VPC_LINK" in refused("create_integration", ApiId=api_id, IntegrationType="HTTP_PROXY", IntegrationUri="http://x", ConnectionType="VPC_LINK")
    assert "IntegrationSubtype" in refused("create_integration", ApiId=api_id, IntegrationType="AWS_PROXY", IntegrationSubtype="SQS-SendMessage")
    assert "MOCK" in refused("create_integration", ApiId=api_id, IntegrationType="MOCK")
    assert "PayloadFormatVersion" in refused("create_integration", ApiId=api_id, IntegrationType="AWS_PROXY", IntegrationUri=arn)
    assert "ApiKeyRequired" in refused("create_route", ApiId=api_id, RouteKey="GET /k", ApiKeyRequired=True)
    assert "already exists" in refused("create_route", ApiId=api_id, RouteKey="GET /pets/{other}")
    assert "not formatted" in refused("create_route", ApiId=api_id, RouteKey="GET pets")
    assert "header cannot be mapped" in refused("create_integration", ApiId=api_id, IntegrationType="HTTP_PROXY", IntegrationMethod="GET",
                                                IntegrationUri="http://x", RequestParameters={"overwrite:header.Authorization": "x"})
    assert "log group" in refused("update_stage", ApiId=api_id, StageName="$default", AccessLogSettings={
        "DestinationArn": "arn:aws:firehose:us-east-1:000000000000:deliverystream/x", "Format": "$context.requestId"})
    assert "wildcard" in refused("update_api", ApiId=api_id, CorsConfiguration={"AllowOrigins": ["*"], "AllowCredentials": True})
    assert refused("get_api", ApiId="nothing") == "Invalid API identifier specified"


def test_tags(gateway, api):
    arn = f"arn:aws:apigateway:us-east-1::/apis/{api['ApiId']}"
    gateway.tag_resource(ResourceArn=arn, Tags={"team": "blue", "x": "y"})
    gateway.untag_resource(ResourceArn=arn, TagKeys=["x"])
    assert gateway.get_tags(ResourceArn=arn)["Tags"] == {"team": "blue"}
    assert gateway.get_api(ApiId=api["ApiId"])["Tags"] == {"team": "blue"}


def raw(server, text):
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.sendall(text)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while part := connection.recv(65536):
            answer += part
    return answer


def test_smuggled_requests_and_bombs_are_refused(server, api):
    host = host_of(api).encode()
    smuggled = (b"POST /pets HTTP/1.1\r\nHost: " + host + b"\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
                b"GET /pets/smuggled HTTP/1.1\r\nHost: " + host + b"\r\n\r\n")
    assert raw(server, smuggled).startswith(b"HTTP/1.1 400") and b"smuggled" not in raw(server, smuggled)
    two_lengths = b"POST /pets HTTP/1.1\r\nHost: " + host + b"\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nhello"
    assert raw(server, two_lengths).startswith(b"HTTP/1.1 400")
    bomb = b"GET /pets/1 HTTP/1.1\r\nHost: " + host + b"\r\n" + b"".join(b"x-%d: %s\r\n" % (i, b"a" * 1000) for i in range(100)) + b"\r\n"
    assert raw(server, bomb).split(b"\r\n")[0].split()[1] in (b"431", b"400")
    large = b"POST /pets HTTP/1.1\r\nHost: " + host + b"\r\nContent-Length: 11000000\r\n\r\n" + b"a" * 1000  # refused by what it announces
    assert raw(server, large).startswith(b"HTTP/1.1 413")
