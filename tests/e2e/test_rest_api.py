"""REST APIs (API Gateway v1) through the gateway: resources and methods, SAM's documents, MOCK, authorizers, policies, answers."""

import contextlib
import http.client
import json

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import botocore.exceptions
import pytest

from conftest import send_http

ACCOUNT = "000000000000"
ECHO = """
import json, base64
def handler(event, context):
    kind = (event.get("queryStringParameters") or {}).get("kind", "")
    if kind == "error": raise ValueError("no")
    if kind == "malformed": return {"hello": "world"}
    if kind == "slow":
        import time; time.sleep(3)
    if kind == "bytes": return {"statusCode": 200, "headers": {"content-type": "image/png"}, "body": "AAEC", "isBase64Encoded": True}
    return {"statusCode": 200, "headers": {"content-type": "application/json"}, "multiValueHeaders": {"x-many": ["1", "2"]}, "body": json.dumps(event)}
"""
AUTHORIZER = """
count = 0
def handler(event, context):
    global count
    count += 1
    token = event.get("authorizationToken") or (event.get("headers") or {}).get("x-token", "")
    if token == "crash": raise ValueError("no")
    if token == "unauthorized": raise Exception("Unauthorized")
    effect = "Deny" if token == "deny" else "Allow"
    resource = "arn:aws:execute-api:*:*:other/*" if token == "elsewhere" else event["methodArn"]
    return {"principalId": "p1", "usageIdentifierKey": token, "context": {"count": count, "type": event["type"], "ok": True},
            "policyDocument": {"Version": "2012-10-17", "Statement": [{"Effect": effect, "Action": "execute-api:Invoke", "Resource": resource}]}}
"""


@pytest.fixture(scope="module")
def call(server):
    def send(api, path="/", method="GET", body=None, headers=None):
        return send_http(server, api + ".execute-api.us-east-1.localhost", path, method, body, headers)

    return send


@pytest.fixture(scope="module")
def gateway(server):
    return server.client("apigateway")


@pytest.fixture(scope="module")
def uris(make_function, lambda_client):
    out = {}
    for name, code in (("rest-echo", ECHO), ("rest-auth", AUTHORIZER)):
        make_function(name, "python3.11", "app.handler", {"app.py": code}, Timeout=10)
        lambda_client.add_permission(FunctionName=name, StatementId="gateway", Action="lambda:InvokeFunction",
                                     Principal="apigateway.amazonaws.com", SourceArn=f"arn:aws:execute-api:us-east-1:{ACCOUNT}:*/*")
        arn = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:{name}"
        out[name] = f"arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/{arn}/invocations"
    return out


def refused(call):
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        call()
    return caught.value.response["Error"]


def proxy(uri):
    return {"type": "aws_proxy", "httpMethod": "POST", "uri": uri}


def document(paths, **more):
    return json.dumps({"swagger": "2.0", "info": {"title": "shop", "version": "1.0"}, "paths": paths, **more})


def imported(gateway, paths, stage="Prod", **more):
    api = gateway.import_rest_api(body=document(paths, **more))
    gateway.create_deployment(restApiId=api["id"], stageName=stage)
    return api["id"]


@pytest.fixture(scope="module")
def api(gateway, uris):
    """Made piece by piece, as Terraform does."""
    made = gateway.create_rest_api(name="pieces", description="d", endpointConfiguration={"types": ["REGIONAL"]}, binaryMediaTypes=["image/png"])
    root = made["rootResourceId"]
    pets = gateway.create_resource(restApiId=made["id"], parentId=root, pathPart="pets")
    pet = gateway.create_resource(restApiId=made["id"], parentId=pets["id"], pathPart="{id}")
    rest = gateway.create_resource(restApiId=made["id"], parentId=root, pathPart="{proxy+}")
    assert (pet["path"], rest["path"]) == ("/pets/{id}", "/{proxy+}")
    for resource, method in ((pets, "POST"), (pet, "GET"), (rest, "ANY")):
        shown = gateway.put_method(restApiId=made["id"], resourceId=resource["id"], httpMethod=method, authorizationType="NONE", operationName="Do")
        assert shown["apiKeyRequired"] is False
        shown = gateway.put_integration(restApiId=made["id"], resourceId=resource["id"], httpMethod=method, type="AWS_PROXY",
                                        integrationHttpMethod="POST", uri=uris["rest-echo"], timeoutInMillis=2000)
        assert shown["passthroughBehavior"] == "WHEN_NO_MATCH" and shown["cacheNamespace"] == resource["id"]
    made["deployment"] = gateway.create_deployment(restApiId=made["id"])["id"]
    stage = gateway.create_stage(restApiId=made["id"], stageName="dev", deploymentId=made["deployment"], variables={"color": "red"})
    assert (stage["cacheClusterStatus"], stage["methodSettings"], stage["tracingEnabled"]) == ("NOT_AVAILABLE", {}, False)
    made["pet"] = pet["id"]
    return made


def test_a_function_gets_the_event_of_a_rest_proxy(api, call):
    answer = call(api["id"], "/dev/pets/a%20b?x=1&x=2&y=", headers={"X-Case": "1", "User-Agent": "t"})
    assert answer.status == 200, answer.body
    event = answer.json()
    assert "version" not in event and event["resource"] == "/pets/{id}" and event["path"] == "/pets/a%20b" and event["httpMethod"] == "GET"
    assert event["headers"]["X-Case"] == "1" and event["headers"]["X-Forwarded-For"] == "127.0.0.1" and event["headers"]["X-Forwarded-Proto"] == "http"
    assert event["multiValueHeaders"]["X-Case"] == ["1"]
    assert event["queryStringParameters"] == {"x": "2", "y": ""} and event["multiValueQueryStringParameters"] == {"x": ["1", "2"], "y": [""]}
    assert event["pathParameters"] == {"id": "a b"} and event["stageVariables"] == {"color": "red"}
    assert event["body"] is None and event["isBase64Encoded"] is False
    context = event["requestContext"]
    assert "authorizer" not in context and context["resourceId"] == api["pet"] and context["resourcePath"] == "/pets/{id}"
    assert context["path"] == "/dev/pets/a%20b" and context["stage"] == "dev" and context["apiId"] == api["id"] and context["accountId"] == ACCOUNT
    assert context["deploymentId"] == api["deployment"] and context["operationName"] == "Do" and context["protocol"] == "HTTP/1.1"
    assert context["identity"]["sourceIp"] == "127.0.0.1" and context["identity"]["userArn"] is None and context["identity"]["userAgent"] == "t"
    assert answer.headers.get_all("x-many") == ["1", "2"] and answer.headers["x-amzn-RequestId"] == context["requestId"]
    empty = call(api["id"], "/dev/any/thing", "PUT").json()
    assert empty["queryStringParameters"] is None and empty["pathParameters"] == {"proxy": "any/thing"} and empty["resource"] == "/{proxy+}"


def test_bodies_are_text_but_for_binary_types(api, call):
    text = call(api["id"], "/dev/pets", "POST", body='{"a":1}', headers={"Content-Type": "application/json"}).json()
    assert (text["body"], text["isBase64Encoded"]) == ('{"a":1}', False)
    image = call(api["id"], "/dev/pets", "POST", body=b"\x00\x01", headers={"Content-Type": "image/png"}).json()
    assert (image["body"], image["isBase64Encoded"]) == ("AAE=", True)
    assert call(api["id"], "/dev/pets/1?kind=bytes", headers={"Accept": "image/png"}).body == b"\x00\x01\x02"
    assert call(api["id"], "/dev/pets/1?kind=bytes").body == b"AAEC"


def test_what_the_gateway_answers_itself(api, call):
    def said(*arguments, **more):
        answer = call(api["id"], *arguments, **more)
        return answer.status, answer.json(), answer.headers["x-amzn-ErrorType"]

    missing = (403, {"message": "Missing Authentication Token"}, "MissingAuthenticationTokenException")
    assert said("/dev/pets", "GET") == missing, "the resource is chosen before the method"
    assert said("/dev/") == missing and said("/dev/pets/1", "DELETE") == missing
    assert said("/none/pets/1") == (403, {"message": "Forbidden"}, "ForbiddenException")
    assert said("/dev/pets/1?kind=error") == (502, {"message": "Internal server error"}, "InternalServerErrorException")
    assert said("/dev/pets/1?kind=malformed")[0] == 502
    assert said("/dev/pets/1?kind=slow") == (504, {"message": "Endpoint request timed out"}, "InternalServerErrorException")
    assert said("/dev/x/../pets")[0] == 400


def test_the_control_plane(gateway, api):
    shown = gateway.get_rest_api(restApiId=api["id"])
    assert shown["apiKeySource"] == "HEADER" and shown["endpointConfiguration"]["types"] == ["REGIONAL"] and shown["rootResourceId"] == api["rootResourceId"]
    assert api["id"] in [one["id"] for one in gateway.get_rest_apis(limit=500)["items"]]
    paths = {one["path"]: one for one in gateway.get_resources(restApiId=api["id"], embed=["methods"])["items"]}
    assert list(paths) == ["/", "/pets", "/pets/{id}", "/{proxy+}"] and "resourceMethods" not in paths["/"]
    assert paths["/pets/{id}"]["resourceMethods"]["GET"]["methodIntegration"]["type"] == "AWS_PROXY"
    summary = gateway.get_deployment(restApiId=api["id"], deploymentId=api["deployment"], embed=["apisummary"])["apiSummary"]
    assert summary["/pets"]["POST"] == {"authorizationType": "NONE", "apiKeyRequired": False}
    patched = gateway.update_rest_api(restApiId=api["id"], patchOperations=[
        {"op": "replace", "path": "/name", "value": "renamed"}, {"op": "add", "path": "/binaryMediaTypes/application~1zip"},
        {"op": "replace", "path": "/endpointConfiguration/types/REGIONAL", "value": "EDGE"}])
    assert (patched["name"], patched["binaryMediaTypes"], patched["endpointConfiguration"]["types"]) == ("renamed", ["image/png", "application/zip"], ["EDGE"])
    stage = gateway.update_stage(restApiId=api["id"], stageName="dev", patchOperations=[
        {"op": "replace", "path": "/variables/size", "value": "xl"}, {"op": "replace", "path": "/*/*/throttling/rateLimit", "value": "1000"},
        {"op": "replace", "path": "/~1pets~1{id}/GET/throttling/burstLimit", "value": "100"}])
    assert stage["variables"] == {"color": "red", "size": "xl"} and stage["methodSettings"]["*/*"]["throttlingRateLimit"] == 1000.0
    assert stage["methodSettings"]["~1pets~1{id}/GET"]["throttlingBurstLimit"] == 100
    arn = f"arn:aws:apigateway:us-east-1::/restapis/{api['id']}"
    gateway.tag_resource(resourceArn=arn, tags={"a": "1", "b": "2"})
    gateway.untag_resource(resourceArn=arn, tagKeys=["a"])
    assert gateway.get_tags(resourceArn=arn)["tags"] == {"b": "2"}
    error = refused(lambda: gateway.get_rest_api(restApiId="missing"))
    assert (error["Code"], error["Message"]) == ("NotFoundException", f"Invalid API identifier specified {ACCOUNT}:missing")
    error = refused(lambda: gateway.delete_deployment(restApiId=api["id"], deploymentId=api["deployment"]))
    assert error["Message"] == "Active stages pointing to this deployment must be moved or deleted"
    error = refused(lambda: gateway.update_rest_api(restApiId=api["id"], patchOperations=[{"op": "replace", "path": "/id", "value": "x"}]))
    assert error["Code"] == "BadRequestException" and "'/id'" in error["Message"]
    # What is not carried out is refused by name; what is not there answers so.
    error = refused(lambda: gateway.update_stage(restApiId=api["id"], stageName="dev", patchOperations=[{"op": "replace", "path": "/tracingEnabled", "value": "true"}]))
    assert "tracingEnabled" in error["Message"]
    error = refused(lambda: gateway.create_model(restApiId=api["id"], name="M", contentType="application/json"))
    assert error["Code"] == "NotImplemented" and "CreateModel" in error["Message"]


def test_a_stage_serves_what_was_deployed(gateway, uris, call):
    paths = {"/a": {"get": {"x-amazon-apigateway-integration": proxy(uris["rest-echo"])}}}
    api = imported(gateway, paths)
    assert call(api, "/Prod/a").status == 200 and call(api, "/Prod/b").status == 403
    gateway.put_rest_api(restApiId=api, mode="merge", body=document({"/b": paths["/a"]}))
    assert call(api, "/Prod/b").status == 403
    gateway.create_deployment(restApiId=api, stageName="Prod")
    assert call(api, "/Prod/a").status == 200 and call(api, "/Prod/b").status == 200
    gateway.put_rest_api(restApiId=api, mode="overwrite", body=document({"/b": paths["/a"]}))
    gateway.create_deployment(restApiId=api, stageName="Prod")
    assert call(api, "/Prod/a").status == 403 and call(api, "/Prod/b").status == 200
    assert refused(lambda: gateway.import_rest_api(body="{'key:value}"))["Message"] == "Invalid OpenAPI input."
    gateway.delete_rest_api(restApiId=api)
    assert call(api, "/Prod/b").status == 404


# What SAM makes of an Api event with Cors and a Lambda authorizer (its shapes; the words are ours).
def sam_paths(uris):
    options = {"summary": "CORS support", "consumes": ["application/json"], "produces": ["application/json"],
               "responses": {"200": {"description": "Default response for CORS method",
                                     "headers": {"Access-Control-Allow-Origin": {"type": "string"}, "Access-Control-Allow-Methods": {"type": "string"}}}},
               "x-amazon-apigateway-integration": {
                   "type": "mock", "requestTemplates": {"application/json": "{\n  \"statusCode\" : 200\n}\n"},
                   "responses": {"default": {"statusCode": "200", "responseTemplates": {"application/json": "{}\n"}, "responseParameters": {
                       "method.response.header.Access-Control-Allow-Origin": "'https://a.example'",
                       "method.response.header.Access-Control-Allow-Methods": "'GET,OPTIONS,POST'"}}}}}
    return {"/": {"get": {"responses": {}, "security": [{"MyAuth": []}], "x-amazon-apigateway-integration": proxy(uris["rest-echo"])}, "options": options},
            "/{proxy+}": {"x-amazon-apigateway-any-method": {"responses": {}, "security": [{"MyAuth": []}],
                                                             "x-amazon-apigateway-integration": proxy(uris["rest-echo"])}, "options": options}}


def test_what_sam_makes_is_imported_and_called(gateway, uris, call):
    schemes = {"MyAuth": {"type": "apiKey", "in": "header", "name": "Authorization", "x-amazon-apigateway-authtype": "custom",
                          "x-amazon-apigateway-authorizer": {"type": "token", "authorizerUri": uris["rest-auth"], "identityValidationExpression": "[a-z]+"}}}
    api = imported(gateway, sam_paths(uris), securityDefinitions=schemes)
    preflight = call(api, "/Prod/x/y", "OPTIONS", headers={"Origin": "https://a.example", "Access-Control-Request-Method": "GET"})
    assert preflight.status == 200 and preflight.body == b"{}\n"
    assert preflight.headers["Access-Control-Allow-Origin"] == "https://a.example" and preflight.headers["Access-Control-Allow-Methods"] == "GET,OPTIONS,POST"
    method = gateway.get_method(restApiId=api, resourceId=gateway.get_rest_api(restApiId=api)["rootResourceId"], httpMethod="OPTIONS")
    assert method["methodResponses"]["200"]["responseParameters"]["method.response.header.Access-Control-Allow-Origin"] is False

    def ask(token, path="/Prod/"):
        return call(api, path, headers={"Authorization": token} if token else {})

    event = ask("hello").json()
    assert event["requestContext"]["authorizer"] == {"principalId": "p1", "count": "1", "type": "TOKEN", "ok": "true"}
    assert ask("hello").json()["requestContext"]["authorizer"]["count"] == "1", "answers are kept"
    assert ask("hello", "/Prod/z").status == 403, "the kept policy is of the other method alone"
    for token in (None, "NOT-VALID", "unauthorized"):
        assert (ask(token).status, ask(token).json()) == (401, {"message": "Unauthorized"}), token
    assert (ask("elsewhere").status, ask("elsewhere").json()) == (403, {"Message": "User is not authorized to access this resource"})
    assert ask("deny").json() == {"Message": "User is not authorized to access this resource with an explicit deny"}
    broken = ask("crash")
    assert (broken.status, broken.json(), broken.headers["x-amzn-ErrorType"]) == (500, {"message": None}, "AuthorizerConfigurationException")
    gateway.flush_stage_authorizers_cache(restApiId=api, stageName="Prod")
    assert ask("hello").json()["requestContext"]["authorizer"]["count"] != "1"


def test_request_authorizers_and_open_api_3(gateway, uris, call):
    scheme = {"type": "apiKey", "in": "header", "name": "Unused", "x-amazon-apigateway-authtype": "custom", "x-amazon-apigateway-authorizer": {
        "type": "request", "authorizerUri": uris["rest-auth"], "identitySource": "method.request.header.x-token, method.request.querystring.q", "authorizerResultTtlInSeconds": 0}}
    body = json.dumps({"openapi": "3.0.1", "info": {"title": "three", "version": "1"}, "components": {"securitySchemes": {"A": scheme}},
                       "paths": {"/x": {"get": {"security": [{"A": []}], "x-amazon-apigateway-integration": proxy(uris["rest-echo"])}}}})
    api = gateway.import_rest_api(body=body, parameters={"endpointConfigurationTypes": "REGIONAL"})["id"]
    gateway.create_deployment(restApiId=api, stageName="s")
    counts = [call(api, "/s/x?q=1", headers={"x-token": "hi"}).json()["requestContext"]["authorizer"]["count"] for _ in range(2)]
    assert counts[0] != counts[1]
    assert call(api, "/s/x", headers={"x-token": "hi"}).status == 401
    unknown = document({"/x": {"get": {"security": [{"nobody": []}], "x-amazon-apigateway-integration": proxy(uris["rest-echo"])}}})
    assert "nobody" in refused(lambda: gateway.import_rest_api(body=unknown))["Message"]


def signed(server, api, path, key="test", secret="test"):
    request = botocore.awsrequest.AWSRequest("GET", f"http://{api}.execute-api.us-east-1.localhost{path}")
    botocore.auth.SigV4Auth(botocore.credentials.Credentials(key, secret), "execute-api", "us-east-1").add_auth(request)
    return dict(request.headers)


def test_signatures_and_resource_policies(server, gateway, uris, call):
    def api_with(policy, security):
        operation = {"x-amazon-apigateway-integration": proxy(uris["rest-echo"]), "x-amazon-apigateway-auth": {"type": security}}
        more = {"x-amazon-apigateway-policy": {"Version": "2012-10-17", "Statement": policy}} if policy else {}
        return imported(gateway, {"/x": {"get": operation}}, **more)

    everyone = {"Effect": "Allow", "Principal": "*", "Action": "execute-api:Invoke", "Resource": "execute-api:/*"}
    here = {"Effect": "Deny", "Principal": "*", "Action": "execute-api:Invoke", "Resource": "execute-api:/*/GET/*",
            "Condition": {"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}}}
    elsewhere = {**everyone, "Condition": {"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}}}
    assert call(api_with([everyone], "NONE"), "/Prod/x").status == 200
    denied = call(api_with([everyone, here], "NONE"), "/Prod/x")
    assert denied.status == 403 and denied.json()["Message"].startswith("User: anonymous is not authorized to perform: execute-api:Invoke on resource: arn:aws:execute-api:us-east-1:********0000:")
    assert denied.json()["Message"].endswith("with an explicit deny")
    assert call(api_with([elsewhere], "NONE"), "/Prod/x").status == 403
    iam = api_with(None, "AWS_IAM")
    assert call(iam, "/Prod/x").json() == {"message": "Missing Authentication Token"}
    answer = call(iam, "/Prod/x", headers=signed(server, iam, "/Prod/x"))
    assert answer.status == 200 and answer.json()["requestContext"]["identity"]["userArn"] == f"arn:aws:iam::{ACCOUNT}:root"
    wrong = call(iam, "/Prod/x", headers=signed(server, iam, "/Prod/x", secret="other"))
    assert (wrong.status, wrong.headers["x-amzn-ErrorType"]) == (403, "InvalidSignatureException")
    users = server.client("iam")
    users.create_user(UserName="rest-caller")
    key = users.create_access_key(UserName="rest-caller")["AccessKey"]
    as_user = lambda api: call(api, "/Prod/x", headers=signed(server, api, "/Prod/x", key["AccessKeyId"], key["SecretAccessKey"]))
    assert as_user(iam).status == 403 and "is not authorized to perform: execute-api:Invoke" in as_user(iam).json()["Message"]
    assert as_user(api_with([everyone], "AWS_IAM")).status == 200, "the API's policy allows what the user's are silent about"
    assert as_user(api_with([everyone, here], "AWS_IAM")).status == 403
    # SAM's integrations behind AWS_IAM are invoked with the rights of the caller.
    own = {"x-amazon-apigateway-integration": {**proxy(uris["rest-echo"]), "credentials": "arn:aws:iam::*:user/*"}, "x-amazon-apigateway-auth": {"type": "AWS_IAM"}}
    by_caller = imported(gateway, {"/x": {"get": own}}, **{"x-amazon-apigateway-policy": {"Version": "2012-10-17", "Statement": [everyone]}})
    assert as_user(by_caller).status == 500, "the user may not invoke the function"
    users.put_user_policy(UserName="rest-caller", PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:rest-echo"}]}))
    assert as_user(by_caller).status == 200
    assert call(by_caller, "/Prod/x").status == 403
    shown = gateway.get_rest_api(restApiId=api_with([everyone], "NONE"))["policy"]
    assert json.loads(json.loads('"' + shown + '"'))["Statement"] == [everyone], "as AWS answers it: the inside of a JSON string"
    error = refused(lambda: gateway.create_rest_api(name="bad", policy='{"Statement": 1}'))
    assert error["Code"] == "BadRequestException" and "policy" in error["Message"]


def test_gateway_responses_and_throttles(gateway, uris, call):
    api = imported(gateway, {"/x": {"get": {"x-amazon-apigateway-integration": proxy(uris["rest-echo"])}}}, **{"x-amazon-apigateway-gateway-responses": {
        "DEFAULT_4XX": {"responseParameters": {"gatewayresponse.header.Access-Control-Allow-Origin": "'*'"}},
        "MISSING_AUTHENTICATION_TOKEN": {"statusCode": 404, "responseTemplates": {"application/json": '{"oops":$context.error.messageString,"type":"$context.error.responseType"}'}}}})
    missing = call(api, "/Prod/none")
    assert (missing.status, missing.json()) == (404, {"oops": "Missing Authentication Token", "type": "MISSING_AUTHENTICATION_TOKEN"})
    gateway.update_stage(restApiId=api, stageName="Prod", patchOperations=[
        {"op": "replace", "path": "/~1x/GET/throttling/rateLimit", "value": "0.01"}, {"op": "replace", "path": "/~1x/GET/throttling/burstLimit", "value": "1"}])
    assert call(api, "/Prod/x").status == 200
    throttled = call(api, "/Prod/x")
    assert (throttled.status, throttled.json(), throttled.headers["Access-Control-Allow-Origin"]) == (429, {"message": "Too Many Requests"}, "*")
    assert int(throttled.headers["Retry-After"]) > 1
    usual = gateway.get_gateway_response(restApiId=api, responseType="THROTTLED")
    assert usual["defaultResponse"] and usual["statusCode"] == "429"
    gateway.put_gateway_response(restApiId=api, responseType="THROTTLED", statusCode="420")
    assert [one["responseType"] for one in gateway.get_gateway_responses(restApiId=api, limit=100)["items"] if not one["defaultResponse"]] == ["DEFAULT_4XX", "MISSING_AUTHENTICATION_TOKEN", "THROTTLED"]
    gateway.create_deployment(restApiId=api, stageName="Prod")
    assert call(api, "/Prod/x").status == 420


def test_answers_are_kept(server, gateway, call):
    mock = {"type": "mock", "requestTemplates": {"application/json": "{statusCode:200}"}, "cacheKeyParameters": ["method.request.querystring.q"],
            "responses": {"default": {"statusCode": "200", "responseTemplates": {"application/json": '{"id":"$context.requestId"}'}}}}
    signed_in = {"x-amazon-apigateway-integration": mock, "x-amazon-apigateway-auth": {"type": "AWS_IAM"}}
    api = imported(gateway, {"/x/{id}": {"get": {"x-amazon-apigateway-integration": mock}, "post": {"x-amazon-apigateway-integration": mock}}, "/iam": {"get": signed_in}})
    ask = lambda path="/Prod/x/1", method="GET", **headers: call(api, path, method, headers=headers).json()["id"]
    assert ask() != ask()
    patches = [("/cacheClusterEnabled", "true"), ("/*/*/caching/enabled", "true"), ("/*/*/caching/ttlInSeconds", "60")]
    stage = gateway.update_stage(restApiId=api, stageName="Prod", patchOperations=[{"op": "replace", "path": path, "value": value} for path, value in patches])
    assert (stage["cacheClusterStatus"], stage["cacheClusterSize"], stage["methodSettings"]["*/*"]["cacheTtlInSeconds"]) == ("AVAILABLE", "0.5", 60)
    first = ask()
    assert ask() == first and ask("/Prod/x/1?other=1") == first
    assert ask("/Prod/x/2") != first and ask("/Prod/x/1?q=1") != first and ask(method="POST") != ask(method="POST")
    ignored = call(api, "/Prod/x/1", headers={"Cache-Control": "max-age=0"})
    assert ignored.json()["id"] == first and ignored.headers["Warning"].startswith("199 ")
    one = lambda **more: call(api, "/Prod/iam", headers={**signed(server, api, "/Prod/iam"), **more}).json()["id"]
    kept = one()
    assert one() == kept and one(**{"Cache-Control": "max-age=0"}) != kept, "the root user may invalidate"
    assert call(api, "/Prod/iam").status == 403, "what is kept is not for everybody"
    gateway.update_stage(restApiId=api, stageName="Prod", patchOperations=[
        {"op": "replace", "path": "/*/*/caching/unauthorizedCacheControlHeaderStrategy", "value": "FAIL_WITH_403"}])
    assert call(api, "/Prod/x/1", headers={"Cache-Control": "max-age=0"}).status == 403
    gateway.update_stage(restApiId=api, stageName="Prod", patchOperations=[
        {"op": "replace", "path": "/*/*/caching/requireAuthorizationForCacheControl", "value": "false"}])
    fresh = ask(**{"Cache-Control": "max-age=0"})
    assert fresh != first and ask() == fresh
    gateway.flush_stage_cache(restApiId=api, stageName="Prod")
    assert ask() != fresh


def test_roles_are_passed_and_operations_are_authorised(server, gateway, uris):
    users = server.client("iam")
    users.create_user(UserName="rest-editor")
    key = users.create_access_key(UserName="rest-editor")["AccessKey"]
    users.put_user_policy(UserName="rest-editor", PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": ["apigateway:POST", "apigateway:PATCH", "apigateway:PUT"], "Resource": "arn:aws:apigateway:us-east-1::/restapis*"}]}))
    editor = server.client("apigateway", aws_access_key_id=key["AccessKeyId"], aws_secret_access_key=key["SecretAccessKey"])
    assert refused(editor.get_rest_apis)["Code"] == "AccessDeniedException"
    assert refused(server.client("apigatewayv2", aws_access_key_id=key["AccessKeyId"], aws_secret_access_key=key["SecretAccessKey"]).get_apis)["Code"] == "AccessDeniedException"
    role = f"arn:aws:iam::{ACCOUNT}:role/powerful"
    with_role = document({"/x": {"get": {"x-amazon-apigateway-integration": {**proxy(uris["rest-echo"]), "credentials": role}}}})
    error = refused(lambda: editor.import_rest_api(body=with_role))
    assert error["Code"] == "AccessDeniedException" and "iam:PassRole" in error["Message"]
    api = editor.import_rest_api(body=document({"/x": {"get": {"x-amazon-apigateway-integration": proxy(uris["rest-echo"])}}}))
    assert "iam:PassRole" in refused(lambda: editor.put_rest_api(restApiId=api["id"], body=with_role))["Message"]
    resource = next(one["id"] for one in gateway.get_resources(restApiId=api["id"])["items"] if one["path"] == "/x")
    place = {"restApiId": api["id"], "resourceId": resource, "httpMethod": "GET"}
    patch = [{"op": "replace", "path": "/credentials", "value": role}]
    assert "iam:PassRole" in refused(lambda: editor.update_integration(**place, patchOperations=patch))["Message"]
    put = {"type": "AWS_PROXY", "integrationHttpMethod": "POST", "uri": uris["rest-echo"], "credentials": role}
    assert "iam:PassRole" in refused(lambda: editor.put_integration(**place, **put))["Message"]


def test_apis_survive_a_restart(new_server):
    server = new_server().start()
    mock = {"type": "mock", "requestTemplates": {"application/json": "{statusCode:200}"}, "responses": {"default": {"statusCode": "204"}}}
    api = imported(server.client("apigateway"), {"/x": {"get": {"x-amazon-apigateway-integration": mock}}})
    read = lambda client: [client.get_rest_api(restApiId=api), client.get_resources(restApiId=api, embed=["methods"])["items"], client.get_stages(restApiId=api)["item"]]
    before = read(server.client("apigateway"))
    server.kill()
    server.start()
    after = read(server.client("apigateway"))
    before[0].pop("ResponseMetadata"), after[0].pop("ResponseMetadata")
    assert before == after
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    with contextlib.closing(connection):
        connection.request("GET", "/Prod/x", headers={"Host": api + ".execute-api.localhost"})
        assert connection.getresponse().status == 204
