"""Who may use a route: JWT, Lambda and IAM authorizers; and roles for holders of tokens (AssumeRoleWithWebIdentity)."""

import base64
import contextlib
import hashlib
import hmac
import http.client
import http.server
import json
import threading
import time

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import botocore.exceptions
import jwt
import pytest

from conftest import send_http
from cryptography.hazmat.primitives.asymmetric import ec, rsa

ACCOUNT = "000000000000"
ECHO = """
import json
def handler(event, context):
    return {"statusCode": 200, "headers": {"content-type": "application/json"}, "body": json.dumps(event)}
"""
AUTHORIZER = """
count = 0
def handler(event, context):
    global count
    count += 1
    token = (event.get("headers") or {}).get("x-token", "")
    if token == "crash": raise ValueError("no")
    if token == "unauthorized": raise Exception("Unauthorized")
    if event["version"] == "2.0":
        return {"isAuthorized": token == "let-me-in", "context": {"user": "u1", "count": count, "source": event["identitySource"][0]}}
    return {"principalId": "p1", "context": {"count": count, "type": event["type"]}, "policyDocument": {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow" if token == "let-me-in" else "Deny", "Action": "execute-api:Invoke",
         "Resource": event["methodArn"].rsplit("/", 1)[0] + "/allowed"}]}}
"""


class Issuer(http.server.ThreadingHTTPServer):
    """An OpenID Connect provider on this machine."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), IssuerHandler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.fetches = 0
        self.keys = {"r1": rsa.generate_private_key(65537, 2048), "e1": ec.generate_private_key(ec.SECP256R1())}
        self.published = ["r1", "e1"]

    def token(self, key="r1", algorithm="RS256", kid=None, drop=(), **claims):
        now = int(time.time())
        body = {"iss": self.url, "aud": "app", "sub": "user-1", "exp": now + 600, "iat": now - 1, "scope": "read write", **claims}
        for name in drop:
            body.pop(name)
        return jwt.encode(body, self.keys[key], algorithm=algorithm, headers={"kid": kid or key})

    def jwks(self):
        out = []
        for name in self.published:
            algorithm = jwt.algorithms.RSAAlgorithm if name.startswith("r") else jwt.algorithms.ECAlgorithm
            out.append({**json.loads(algorithm.to_jwk(self.keys[name].public_key())), "kid": name, "use": "sig"})
        return {"keys": out}


class IssuerHandler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.fetches += 1
        body = {"issuer": self.server.url, "jwks_uri": self.server.url + "/keys"} if "openid" in self.path else self.server.jwks()
        text = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *arguments):
        pass


@pytest.fixture(scope="module")
def issuer():
    httpd = Issuer()
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    yield httpd
    httpd.shutdown()
    httpd.server_close()


@pytest.fixture(scope="module")
def call(server):
    def send(host, path="/", method="GET", headers=None, body=None):
        answer = send_http(server, host, path, method, body, headers)
        return answer.status, answer.json() if answer.body else None, answer.headers

    return send


@pytest.fixture(scope="module")
def api(server, make_function, lambda_client):
    gateway = server.client("apigatewayv2")
    for name, code in (("ga-echo", ECHO), ("ga-auth", AUTHORIZER)):
        make_function(name, "python3.11", "app.handler", {"app.py": code})
        lambda_client.add_permission(FunctionName=name, StatementId="gateway", Action="lambda:InvokeFunction",
                                     Principal="apigateway.amazonaws.com", SourceArn=f"arn:aws:execute-api:us-east-1:{ACCOUNT}:*/*")
    made = gateway.create_api(Name="auth", ProtocolType="HTTP")
    integration = gateway.create_integration(
        ApiId=made["ApiId"], IntegrationType="AWS_PROXY", PayloadFormatVersion="2.0",
        IntegrationUri=f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:ga-echo")["IntegrationId"]
    gateway.create_stage(ApiId=made["ApiId"], StageName="$default", AutoDeploy=True)

    class Api:
        id, host, client = made["ApiId"], made["ApiId"] + ".execute-api.localhost", gateway

        @staticmethod
        def route(key, **settings):
            return gateway.create_route(ApiId=made["ApiId"], RouteKey=key, Target=f"integrations/{integration}", **settings)

        @staticmethod
        def authorizer(name, **settings):
            return gateway.create_authorizer(ApiId=made["ApiId"], Name=name, **settings)["AuthorizerId"]

    return Api


@pytest.fixture(scope="module")
def jwt_routes(api, issuer):
    authorizer = api.authorizer("jwt", AuthorizerType="JWT", IdentitySource=["$request.header.Authorization"],
                                JwtConfiguration={"Issuer": issuer.url, "Audience": ["app", "other-app"]})
    api.route("GET /me", AuthorizationType="JWT", AuthorizerId=authorizer)
    api.route("GET /admin", AuthorizationType="JWT", AuthorizerId=authorizer, AuthorizationScopes=["admin", "write"])
    api.route("GET /owner", AuthorizationType="JWT", AuthorizerId=authorizer, AuthorizationScopes=["owner"])
    return api


def bearer(token):
    return {"Authorization": "Bearer " + token}


def test_tokens_that_are_good(jwt_routes, issuer, call):
    host = jwt_routes.host
    status, event, _ = call(host, "/me", headers=bearer(issuer.token(groups=["a", "b"], admin=True)))
    assert status == 200
    claims = event["requestContext"]["authorizer"]["jwt"]["claims"]
    assert claims["sub"] == "user-1" and claims["groups"] == "[a b]" and claims["admin"] == "true" and claims["exp"].isdigit()
    assert call(host, "/me", headers={"Authorization": issuer.token()})[0] == 200  # without Bearer
    assert call(host, "/me", headers=bearer(issuer.token("e1", "ES256")))[0] == 200
    assert call(host, "/me", headers=bearer(issuer.token(drop=["aud"], client_id="other-app")))[0] == 200
    status, event, _ = call(host, "/admin", headers=bearer(issuer.token()))
    assert status == 200 and event["requestContext"]["authorizer"]["jwt"]["scopes"] == ["read", "write"]
    status, body, _ = call(host, "/owner", headers=bearer(issuer.token()))
    assert (status, body) == (403, {"message": "Forbidden"})


def test_tokens_that_are_not(jwt_routes, issuer, call, server):
    host = jwt_routes.host
    now = int(time.time())
    stranger = rsa.generate_private_key(65537, 2048)
    good = issuer.token()
    head, body, signature = good.split(".")

    def part(value):
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    public = json.dumps(issuer.jwks()["keys"][0])
    claims = {"iss": issuer.url, "aud": "app", "exp": now + 600}
    text = part({"alg": "HS256", "kid": "r1"}) + "." + part(claims)  # by hand: libraries refuse to make it
    mac = hmac.new(public.encode(), text.encode(), hashlib.sha256).digest()
    hmac_signed = text + "." + base64.urlsafe_b64encode(mac).rstrip(b"=").decode()
    bad = {
        "expired": issuer.token(exp=now - 1),
        "not yet": issuer.token(nbf=now + 600),
        "no expiry": issuer.token(drop=["exp"]),
        "audience": issuer.token(aud="somebody-else"),
        "issuer": issuer.token(iss="https://evil.example"),
        "none": part({"alg": "none", "kid": "r1"}) + "." + part(claims) + ".",
        "hmac": hmac_signed,
        "wrong key": jwt.encode(claims, stranger, algorithm="RS256", headers={"kid": "r1"}),
        "wrong kid": issuer.token("r1", kid="e1"),
        "changed": head + "." + part({**claims, "sub": "root"}) + "." + signature,
        "no kid": jwt.encode(claims, issuer.keys["r1"], algorithm="RS256"),
        "own key": jwt.encode(claims, stranger, algorithm="RS256", headers={
            "kid": "r1", "jwk": json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(stranger.public_key()))}),
        "garbage": "a.b.c",
        "long": "a" * 30_000,
    }
    for name, token in bad.items():
        status, answer, headers = call(host, "/me", headers=bearer(token))
        assert (status, answer) == (401, {"message": "Unauthorized"}), name
        assert headers["www-authenticate"] == "Bearer", name
    assert call(host, "/me")[0] == 401
    log = server.log_text()
    assert "the token has expired" in log and "the signature does not match" in log  # the reason is in the log
    assert good not in log and bad["expired"] not in log


def test_made_up_keys_do_not_make_the_issuer_busy(jwt_routes, issuer, call):
    assert call(jwt_routes.host, "/me", headers=bearer(issuer.token()))[0] == 200
    before = issuer.fetches
    for i in range(20):
        assert call(jwt_routes.host, "/me", headers=bearer(issuer.token(kid=f"made-up-{i}")))[0] == 401
    assert issuer.fetches - before <= 4


def test_authorizers_by_function(api, call):
    uri = f"arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/arn:aws:lambda:us-east-1:{ACCOUNT}:function:ga-auth/invocations"
    simple = api.authorizer("simple", AuthorizerType="REQUEST", AuthorizerUri=uri, AuthorizerPayloadFormatVersion="2.0",
                            EnableSimpleResponses=True, IdentitySource=["$request.header.x-token"], AuthorizerResultTtlInSeconds=60)
    policy = api.authorizer("policy", AuthorizerType="REQUEST", AuthorizerUri=uri, AuthorizerPayloadFormatVersion="1.0",
                            IdentitySource=["$request.header.x-token"], AuthorizerResultTtlInSeconds=60)
    api.route("GET /simple", AuthorizationType="CUSTOM", AuthorizerId=simple)
    api.route("GET /policy/{name}", AuthorizationType="CUSTOM", AuthorizerId=policy)
    host = api.host

    def ask(path, token):
        return call(host, path, headers={"x-token": token} if token else {})

    status, event, _ = ask("/simple", "let-me-in")
    first = event["requestContext"]["authorizer"]["lambda"]
    assert status == 200 and first["user"] == "u1" and first["source"] == "let-me-in"
    assert ask("/simple", "let-me-in")[1]["requestContext"]["authorizer"]["lambda"]["count"] == first["count"]  # cached
    api.client.reset_authorizers_cache(ApiId=api.id, StageName="$default")
    assert ask("/simple", "let-me-in")[1]["requestContext"]["authorizer"]["lambda"]["count"] > first["count"]
    assert ask("/simple", "other")[:2] == (403, {"message": "Forbidden"})
    assert ask("/simple", None)[:2] == (401, {"message": "Unauthorized"})
    assert ask("/simple", "crash")[:2] == (500, {"message": "Internal Server Error"})
    assert ask("/simple", "unauthorized")[:2] == (401, {"message": "Unauthorized"})
    # One answer's policy is kept and decides for each path.
    status, event, _ = ask("/policy/allowed", "let-me-in")
    assert status == 200 and event["requestContext"]["authorizer"]["lambda"]["principalId"] == "p1"
    assert ask("/policy/other", "let-me-in")[0] == 403
    assert ask("/policy/allowed", "other")[0] == 403


def test_signed_requests(api, server, call):
    api.route("ANY /signed/{id}", AuthorizationType="AWS_IAM")
    iam = server.client("iam")
    iam.create_user(UserName="caller")
    key = iam.create_access_key(UserName="caller")["AccessKey"]

    def send(path, service="execute-api", age=0, tamper=False, body=None):
        request = botocore.awsrequest.AWSRequest("POST", f"http://{api.host}:{server.port}{path}", data=body or b"x")
        signer = botocore.auth.SigV4Auth(botocore.credentials.Credentials(key["AccessKeyId"], key["SecretAccessKey"]), service, "us-east-1")
        signer.add_auth(request)
        headers = dict(request.headers)
        headers["Host"] = f"{api.host}:{server.port}"
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        with contextlib.closing(connection):
            connection.request("POST", path, body=b"y" if tamper else (body or b"x"), headers=headers)
            response = connection.getresponse()
            return response.status, json.loads(response.read())

    forbidden = (403, {"message": "Forbidden"})
    assert call(api.host, "/signed/1")[:2] == forbidden
    assert send("/signed/1") == forbidden  # known, and not allowed
    iam.put_user_policy(UserName="caller", PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": {
        "Effect": "Allow", "Action": "execute-api:Invoke", "Resource": f"arn:aws:execute-api:us-east-1:{ACCOUNT}:{api.id}/$default/POST/signed/1"}}))
    status, event = send("/signed/1")
    assert status == 200 and event["requestContext"]["authorizer"]["iam"]["userArn"] == f"arn:aws:iam::{ACCOUNT}:user/caller"
    assert send("/signed/2") == forbidden
    assert send("/signed/1", tamper=True) == forbidden
    assert send("/signed/1", service="lambda") == forbidden
    iam.delete_user_policy(UserName="caller", PolicyName="p")
    iam.delete_access_key(UserName="caller", AccessKeyId=key["AccessKeyId"])
    iam.delete_user(UserName="caller")


def test_a_role_as_the_integrations_credentials(api, server, call, lambda_client, make_function):
    make_function("ga-private", "python3.11", "app.handler", {"app.py": ECHO})
    iam = server.client("iam")

    def trust(service):
        return json.dumps({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}})

    role = iam.create_role(RoleName="gateway-caller", AssumeRolePolicyDocument=trust("apigateway.amazonaws.com"))["Role"]["Arn"]
    arn = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:ga-private"
    integration = api.client.create_integration(ApiId=api.id, IntegrationType="AWS_PROXY", PayloadFormatVersion="2.0", IntegrationUri=arn,
                                                CredentialsArn=role)["IntegrationId"]
    api.client.create_route(ApiId=api.id, RouteKey="GET /private", Target=f"integrations/{integration}")
    assert call(api.host, "/private")[0] == 500
    iam.put_role_policy(RoleName="gateway-caller", PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": {
        "Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": arn}}))
    assert call(api.host, "/private")[0] == 200
    iam.update_assume_role_policy(RoleName="gateway-caller", PolicyDocument=trust("lambda.amazonaws.com"))
    assert call(api.host, "/private")[0] == 500


def test_roles_for_holders_of_tokens(server, issuer):
    iam = server.client("iam")
    sts = server.client("sts", aws_access_key_id="none", aws_secret_access_key="none")
    name = issuer.url.removeprefix("http://")
    provider = iam.create_open_id_connect_provider(Url=issuer.url, ClientIDList=["app"], ThumbprintList=["a" * 40],
                                                   Tags=[{"Key": "a", "Value": "b"}])["OpenIDConnectProviderArn"]
    assert provider == f"arn:aws:iam::{ACCOUNT}:oidc-provider/{name}"
    trust = {"Version": "2012-10-17", "Statement": {
        "Effect": "Allow", "Principal": {"Federated": provider}, "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {"StringEquals": {f"{name}:sub": "user-1", f"{name}:aud": "app"}}}}
    role = iam.create_role(RoleName="web", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]

    def assume(token, arn=role):
        return sts.assume_role_with_web_identity(RoleArn=arn, RoleSessionName="s1", WebIdentityToken=token)

    given = assume(issuer.token())
    assert given["SubjectFromWebIdentityToken"] == "user-1" and given["Provider"] == provider and given["Audience"] == "app"
    keys = given["Credentials"]
    who = server.client("sts", aws_access_key_id=keys["AccessKeyId"], aws_secret_access_key=keys["SecretAccessKey"],
                        aws_session_token=keys["SessionToken"]).get_caller_identity()
    assert who["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/web/s1"

    def refused(token, arn=role):
        with pytest.raises(botocore.exceptions.ClientError) as error:
            assume(token, arn)
        return error.value.response["Error"]["Code"]

    stranger = rsa.generate_private_key(65537, 2048)
    claims = {"iss": issuer.url, "aud": "app", "sub": "user-1", "exp": int(time.time()) + 60}
    assert refused(issuer.token(sub="user-2")) == "AccessDenied"
    assert refused(issuer.token(exp=1)) == "ExpiredTokenException"
    assert refused(issuer.token(aud="x")) == "InvalidIdentityToken"
    assert refused(issuer.token(iss="https://unknown.example")) == "InvalidIdentityToken"
    assert refused(jwt.encode(claims, stranger, algorithm="RS256", headers={"kid": "r1"})) == "InvalidIdentityToken"
    assert refused("x.y.z.") == "InvalidIdentityToken"
    assert refused(issuer.token(), f"arn:aws:iam::{ACCOUNT}:role/nobody") == "AccessDenied"

    iam.add_client_id_to_open_id_connect_provider(OpenIDConnectProviderArn=provider, ClientID="second")
    iam.update_open_id_connect_provider_thumbprint(OpenIDConnectProviderArn=provider, ThumbprintList=["b" * 40])
    shown = iam.get_open_id_connect_provider(OpenIDConnectProviderArn=provider)
    assert shown["Url"] == name and shown["ClientIDList"] == ["app", "second"] and shown["ThumbprintList"] == ["b" * 40]
    iam.remove_client_id_from_open_id_connect_provider(OpenIDConnectProviderArn=provider, ClientID="app")
    assert refused(issuer.token()) == "InvalidIdentityToken"
    assert [entry["Arn"] for entry in iam.list_open_id_connect_providers()["OpenIDConnectProviderList"]] == [provider]
    iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=provider)
    assert refused(issuer.token()) == "InvalidIdentityToken"


def test_nothing_else_is_open_without_a_signature(server):
    """A form that names two operations, or another one, is no way around the signature."""
    for body in ("Action=GetCallerIdentity&Version=2011-06-15", "Action=AssumeRoleWithWebIdentity&Action=GetCallerIdentity&Version=2011-06-15",
                 "Action=GetCallerIdentity&Action=AssumeRoleWithWebIdentity&Version=2011-06-15",
                 "%41ction=GetCallerIdentity&Action=AssumeRoleWithWebIdentity&Version=2011-06-15"):
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        with contextlib.closing(connection):
            connection.request("POST", "/", body=body, headers={"Content-Type": "application/x-www-form-urlencoded"})
            assert connection.getresponse().status in (400, 403), body


def test_open_api_documents(api, server, call, issuer):
    gateway = api.client
    document = {
        "openapi": "3.0.1", "info": {"title": "imported", "version": "7"},
        "x-amazon-apigateway-cors": {"allowOrigins": ["https://a.example"], "maxAge": 5},
        "components": {"securitySchemes": {"tokens": {"type": "oauth2", "x-amazon-apigateway-authorizer": {
            "type": "jwt", "identitySource": "$request.header.Authorization", "jwtConfiguration": {"issuer": issuer.url, "audience": ["app"]}}}}},
        "paths": {
            "/me": {"get": {"security": [{"tokens": ["write"]}], "x-amazon-apigateway-integration": {
                "type": "aws_proxy", "httpMethod": "POST", "payloadFormatVersion": "2.0",
                "uri": f"arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/arn:aws:lambda:us-east-1:{ACCOUNT}:function:ga-echo/invocations"}}},
            "/$default": {"x-amazon-apigateway-any-method": {"isDefaultRoute": True, "x-amazon-apigateway-integration": {
                "type": "http_proxy", "httpMethod": "GET", "uri": issuer.url + "/keys", "payloadFormatVersion": "1.0"}}}}}
    made = gateway.import_api(Body=json.dumps(document), FailOnWarnings=True)
    assert made["Name"] == "imported" and made["Version"] == "7" and made["CorsConfiguration"]["MaxAge"] == 5
    gateway.create_stage(ApiId=made["ApiId"], StageName="$default", AutoDeploy=True)
    host = made["ApiId"] + ".execute-api.localhost"
    assert call(host, "/me")[0] == 401
    assert call(host, "/me", headers=bearer(issuer.token()))[0] == 200
    exported = json.loads(gateway.export_api(ApiId=made["ApiId"], OutputType="JSON", Specification="OAS30")["body"].read())
    assert set(exported["paths"]) == {"/me", "/$default"} and exported["paths"]["/me"]["get"]["security"] == [{"tokens": ["write"]}]
    again = gateway.import_api(Body=json.dumps(exported))
    keys = [sorted(route["RouteKey"] for route in gateway.get_routes(ApiId=one["ApiId"])["Items"]) for one in (made, again)]
    assert keys[0] == keys[1] == ["$default", "GET /me"]
    # A guard that is not understood refuses the document instead of leaving the route open.
    document["paths"]["/me"]["get"]["security"] = [{"unknown": []}]
    with pytest.raises(gateway.exceptions.BadRequestException, match="unknown"):
        gateway.reimport_api(ApiId=made["ApiId"], Body=json.dumps(document))
    del document["paths"]["/me"]
    gateway.reimport_api(ApiId=made["ApiId"], Body=json.dumps(document))
    assert [route["RouteKey"] for route in gateway.get_routes(ApiId=made["ApiId"])["Items"]] == ["$default"]
    for one in (made, again):
        gateway.delete_api(ApiId=one["ApiId"])
