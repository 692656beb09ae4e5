"""A route to a function and back, beside the direct invocation of the same function with the same event in the same run.

    make bench-gateway                                      # table on the terminal; bench/results/gateway.md
    .venv/bin/python bench/bench_gateway.py --seconds 10

The second API has 10,000 routes (one OpenAPI document), to see that matching stays flat. nginx, where it is installed, passes the direct
invocation on as a plain reverse proxy: what any gateway in front costs. By turns; medians of wrk over the rounds; no assertion on time.
"""

import argparse
import contextlib
import http.client
import json
import pathlib
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

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


NGINX = """
daemon off; worker_processes auto; pid {folder}/pid; error_log {folder}/error;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  upstream mayfly {{ server 127.0.0.1:{upstream}; keepalive 128; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{ proxy_pass http://mayfly; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $http_host; }}
  }}
}}
"""


@contextlib.contextmanager
def nginx(upstream):
    """Its address, or None where it is not installed."""
    program = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin")
    if not program:
        print("SKIPPED: nginx is missing; apt-get install nginx-light", file=sys.stderr)
        yield None
        return
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        config = pathlib.Path(folder, "nginx.conf")
        config.write_text(NGINX.format(folder=folder, upstream=upstream, port=port))
        process = subprocess.Popen([program, "-c", str(config), "-p", folder], stderr=subprocess.DEVNULL)
        try:
            for _ in range(100):
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                    break
                time.sleep(0.05)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait()


def targets_of(server):
    """Address, headers and body of each way to the function."""
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
    signed = dict(request.headers)
    targets = {"direct": (server.endpoint + path, signed, event)}
    for routes, host in hosts.items():
        targets[f"gateway, {routes:,} route{'s' if routes > 1 else ''}"] = (f"{server.endpoint}/service{routes - 1}/items/7", {"Host": host}, measure.BODY)
    return targets, path, signed, event


def rows_of(server, seconds, rounds):
    targets, path, signed, event = targets_of(server)
    with nginx(server.port) as proxy:
        if proxy:
            targets["nginx in front of direct"] = (proxy + path, {"Host": f"127.0.0.1:{server.port}", **signed}, event)
        rows = {}
        for connections in (1, 64):
            found = {name: [] for name in targets}
            for address, headers, body in targets.values():
                measure.wrk(address, connections, 1, headers, body)
            for _ in range(rounds):
                for name, (address, headers, body) in targets.items():
                    found[name].append(measure.wrk(address, connections, seconds, headers, body))
            for name, runs in found.items():
                rows[name, connections] = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
    return rows


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, default=3, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    if not shutil.which("wrk"):
        sys.exit("bench: wrk is missing; apt-get install wrk")
    measure.build_functions()
    with measure.Server() as server:
        rows = rows_of(server, arguments.seconds, arguments.rounds)
    lines = ["| way to the function | connections | p50 | over direct | p99 | a second |", "|---|---|---|---|---|---|"]
    for (name, connections), row in rows.items():
        ratio = row["p50_ms"] / rows["direct", connections]["p50_ms"]
        refused = f" ({row['refused']:.0f} refused)" if row["refused"] else ""
        lines.append(f"| {name} | {connections} | {row['p50_ms']:.3f} ms | {ratio:.2f} | {row['p99_ms']:.2f} ms | {row['per_second']:,.0f}{refused} |")
    text = "\n".join(lines) + "\n"
    print(text)
    folder = measure.ROOT / "bench/results"
    folder.mkdir(exist_ok=True)
    (folder / "gateway.md").write_text(text)


if __name__ == "__main__":
    main()
