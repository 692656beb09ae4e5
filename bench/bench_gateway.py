"""A route to a function and back, beside the direct invocation of the same function with the same event in the same run.

    .venv/bin/python bench/bench_gateway.py                 # table on the terminal
    .venv/bin/python bench/bench_gateway.py --seconds 10

The second API has 10,000 routes (one OpenAPI document), to see that matching stays flat. Medians of wrk; no assertion on time.
"""

import argparse
import http.client
import json
import shutil
import sys

import boto3
import botocore.auth
import botocore.awsrequest

import measure

ACCOUNT = "000000000000"
ARN = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:native"


def document(count):
    integration = {"type": "aws_proxy", "httpMethod": "POST", "payloadFormatVersion": "2.0", "uri": ARN}
    paths = {f"/service{i}/items/{{id}}": {"post": {"x-amazon-apigateway-integration": {"$ref": "#/components/x-amazon-apigateway-integrations/f"}}}
             for i in range(count)}
    return {"openapi": "3.0.1", "info": {"title": f"{count} routes", "version": "1"}, "paths": paths,
            "components": {"x-amazon-apigateway-integrations": {"f": integration}}}


def host_with(gateway, routes):
    api = gateway.import_api(Body=json.dumps(document(routes)))["ApiId"]
    gateway.create_stage(ApiId=api, StageName="$default", AutoDeploy=True)
    return f"{api}.execute-api.localhost"


def rows_of(server, seconds):
    gateway = boto3.client("apigatewayv2", endpoint_url=server.endpoint, region_name="us-east-1", aws_access_key_id="bench",
                           aws_secret_access_key="bench-secret")
    server.create("native", "native")
    server.client.add_permission(FunctionName="native", StatementId="g", Action="lambda:InvokeFunction",
                                 Principal="apigateway.amazonaws.com", SourceArn=f"arn:aws:execute-api:us-east-1:{ACCOUNT}:*/*")
    hosts = {1: host_with(gateway, 1), 10_000: host_with(gateway, 10_000)}
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    connection.request("POST", "/service0/items/7", measure.BODY, {"Host": hosts[1]})
    answer = connection.getresponse()
    assert answer.status == 200, answer.read()
    # The event that the gateway makes, near enough in size and form.
    event = json.dumps({"version": "2.0", "routeKey": "POST /service0/items/{id}", "rawPath": "/service0/items/7", "headers": {"host": hosts[1]},
                        "requestContext": {"http": {"method": "POST"}, "padding": "x" * 600}, "body": measure.BODY.decode()}).encode()
    path = "/2015-03-31/functions/native/invocations"
    request = botocore.awsrequest.AWSRequest("POST", server.endpoint + path, data=event, headers={"Host": f"127.0.0.1:{server.port}"})
    botocore.auth.SigV4Auth(measure.CREDENTIALS, "lambda", "us-east-1").add_auth(request)
    rows = {}
    for connections in (1, 64):
        measure.wrk(server.endpoint + path, connections, 1, dict(request.headers), event)
        rows[f"direct, {connections}"] = measure.wrk(server.endpoint + path, connections, seconds, dict(request.headers), event)
        for routes, host in hosts.items():
            url = f"{server.endpoint}/service{routes - 1}/items/7"
            rows[f"{routes} routes, {connections}"] = measure.wrk(url, connections, seconds, {"Host": host}, measure.BODY)
    return rows


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, default=5)
    arguments = parser.parse_args()
    if not shutil.which("wrk"):
        sys.exit("bench: wrk is missing; apt-get install wrk")
    with measure.Server() as server:
        rows = rows_of(server, arguments.seconds)
    print(f"{'connections':<24}{'p50 ms':>10}{'p99 ms':>10}{'per second':>12}{'refused':>9}")
    for name, row in rows.items():
        print(f"{name:<24}{row['p50_ms']:>10.3f}{row['p99_ms']:>10.3f}{row['per_second']:>12.0f}{row['refused']:>9}")


if __name__ == "__main__":
    main()
