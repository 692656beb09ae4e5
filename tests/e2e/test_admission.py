"""Who may speak to the server at all, and how often one caller may ask (docs/configuration.md)."""

import json
import urllib.error
import urllib.request

import botocore.exceptions
import pytest

from test_attack import host_addresses


def status_of(url):
    try:
        with urllib.request.urlopen(url, timeout=10) as response:
            return response.status
    except urllib.error.HTTPError as error:
        return error.code


def test_requests_are_taken_from_allowed_networks_only(new_server):
    # Not one of a link of instances, which come and go, and refuse.
    address = next(found for found in host_addresses() if not found.startswith(("10.213.", "10.214.", "10.215.", "10.216.")))
    server = new_server({"listen": "0.0.0.0:0", "http.allow": "198.51.100.0/24"}).start()
    for path in ("/_mayfly/health", "/2015-03-31/functions"):
        assert status_of(f"http://{address}:{server.port}{path}") == 403
    assert status_of(f"http://127.0.0.1:{server.port}/_mayfly/health") == 200
    server.stop()
    server.settings["http.allow"] = "198.51.100.0/24 " + address
    server.start()
    assert status_of(f"http://{address}:{server.port}/_mayfly/health") == 200


def test_one_caller_is_slowed_down_with_all_its_keys_and_no_other(new_server):
    server = new_server({"caller.rate": "1", "caller.burst": "3"}).start()
    root = server.client("iam")
    everything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    clients = {}
    for name in ("ann", "bob"):
        root.create_user(UserName=name)
        root.put_user_policy(UserName=name, PolicyName="all", PolicyDocument=json.dumps(everything))
        keys = [root.create_access_key(UserName=name)["AccessKey"] for _ in range(2)]
        clients[name] = [server.client("lambda", aws_access_key_id=key["AccessKeyId"], aws_secret_access_key=key["SecretAccessKey"]) for key in keys]
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        for i in range(20):
            clients["ann"][i % 2].list_functions()
    response = caught.value.response
    assert response["Error"]["Code"] == "ThrottlingException" and response["Error"]["Message"] == "Rate exceeded"
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 429
    assert response["ResponseMetadata"]["HTTPHeaders"]["retry-after"] == "1"
    clients["bob"][0].list_functions()
    for _ in range(10):
        root.get_user(UserName="ann")
