"""examples/http-api: an order with every right arrives in the queue; without any one of them it is refused."""

import http.server
import json
import pathlib
import threading
import time

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from conftest import send_http

EXAMPLE = pathlib.Path(__file__).resolve().parents[2] / "examples" / "http-api"
ACCOUNT = "000000000000"


@pytest.fixture(scope="module")
def issuer():
    key = rsa.generate_private_key(65537, 2048)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            keys = {"keys": [{**json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key())), "kid": "k"}]}
            text = json.dumps({"issuer": url, "jwks_uri": url + "/keys"} if "openid" in self.path else keys).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *arguments):
            pass

    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    url = f"http://127.0.0.1:{httpd.server_address[1]}"
    threading.Thread(target=httpd.serve_forever, daemon=True).start()

    def token(scope="orders.write"):
        return jwt.encode({"iss": url, "aud": "orders", "sub": "ada", "exp": int(time.time()) + 300, "scope": scope}, key, "RS256", {"kid": "k"})

    token.url = url
    yield token
    httpd.shutdown()
    httpd.server_close()


def test_every_right_is_needed(server, lambda_client, make_function, issuer):
    iam, sqs, gateway = server.client("iam"), server.client("sqs"), server.client("apigatewayv2")
    queue = sqs.create_queue(QueueName="orders")["QueueUrl"]
    trust = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}}
    iam.create_role(RoleName="orders", AssumeRolePolicyDocument=json.dumps(trust))
    make_function("orders", "python3.11", "app.handler", {"app.py": (EXAMPLE / "app.py").read_text()}, Timeout=10,
                  Environment={"Variables": {"QUEUE_URL": queue}})
    lambda_client.update_function_configuration(FunctionName="orders", Role=f"arn:aws:iam::{ACCOUNT}:role/orders")
    lambda_client.get_waiter("function_updated_v2").wait(FunctionName="orders")
    api = gateway.create_api(Name="orders", ProtocolType="HTTP")["ApiId"]
    integration = gateway.create_integration(ApiId=api, IntegrationType="AWS_PROXY", PayloadFormatVersion="2.0",
                                             IntegrationUri=f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:orders")["IntegrationId"]
    authorizer = gateway.create_authorizer(ApiId=api, Name="tokens", AuthorizerType="JWT", IdentitySource=["$request.header.Authorization"],
                                           JwtConfiguration={"Issuer": issuer.url, "Audience": ["orders"]})["AuthorizerId"]
    gateway.create_route(ApiId=api, RouteKey="POST /orders", Target=f"integrations/{integration}", AuthorizationType="JWT",
                         AuthorizerId=authorizer, AuthorizationScopes=["orders.write"])
    gateway.create_stage(ApiId=api, StageName="$default", AutoDeploy=True)

    def order(token):
        headers = {"Authorization": "Bearer " + token} if token else None
        return send_http(server, f"{api}.execute-api.localhost", "/orders", "POST", '{"items": ["tea"]}', headers).status

    def permit():
        lambda_client.add_permission(FunctionName="orders", StatementId="api", Action="lambda:InvokeFunction",
                                     Principal="apigateway.amazonaws.com",
                                     SourceArn=f"arn:aws:execute-api:us-east-1:{ACCOUNT}:{api}/*/POST/orders")

    def grant():
        iam.put_role_policy(RoleName="orders", PolicyName="send", PolicyDocument=(EXAMPLE / "role-policy.json").read_text())

    def waiting():
        return int(sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])["Attributes"]["ApproximateNumberOfMessages"])

    assert order(None) == 401
    assert order(issuer("orders.read")) == 403
    assert order(issuer()) == 500  # the function's policy does not let the API in
    permit()
    assert order(issuer()) == 502  # the role may not write to the queue
    assert waiting() == 0
    grant()
    assert order(issuer()) == 202
    message = sqs.receive_message(QueueUrl=queue)["Messages"][0]
    assert json.loads(message["Body"]) == {"customer": "ada", "items": ["tea"]}
    sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    # Taken away again, each by itself.
    iam.delete_role_policy(RoleName="orders", PolicyName="send")
    assert order(issuer()) == 502
    grant()
    lambda_client.remove_permission(FunctionName="orders", StatementId="api")
    assert order(issuer()) == 500
    permit()
    assert order(issuer()) == 202 and waiting() == 1
    gateway.delete_api(ApiId=api)
