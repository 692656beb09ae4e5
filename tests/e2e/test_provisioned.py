"""Provisioned concurrency: initialised instances are kept, shown by their status, replaced when they end, and start with the server."""

import botocore.exceptions
import pytest

from conftest import ROLE, wait_until, zip_bytes

CODE = """
import os, time
INSTANCE = os.environ['AWS_LAMBDA_LOG_STREAM_NAME']
def handler(event, context):
    if event.get('die'):
        os._exit(3)
    time.sleep(event.get('sleep', 0))
    return {'instance': INSTANCE, 'type': os.environ['AWS_LAMBDA_INITIALIZATION_TYPE']}
"""


def publish(client, name, code, **settings):
    client.create_function(FunctionName=name, Runtime="python3.11", Handler="app.handler", Role=ROLE, Timeout=20,
                           Code={"ZipFile": zip_bytes({"app.py": code})}, **settings)
    client.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    return client.publish_version(FunctionName=name)["Version"]


def status(client, name, qualifier):
    answer = client.get_provisioned_concurrency_config(FunctionName=name, Qualifier=qualifier)
    return answer["Status"], answer["AllocatedProvisionedConcurrentExecutions"]


def test_instances_are_kept_and_replaced(lambda_client, invoke):
    client = lambda_client
    version = publish(client, "kept", CODE)
    client.create_alias(FunctionName="kept", Name="live", FunctionVersion=version)
    asked = client.put_provisioned_concurrency_config(FunctionName="kept", Qualifier="live", ProvisionedConcurrentExecutions=2)
    assert asked["Status"] == "IN_PROGRESS" and asked["RequestedProvisionedConcurrentExecutions"] == 2
    wait_until(lambda: status(client, "kept", "live") == ("READY", 2), what="two initialised instances")
    response, first = invoke("kept", Qualifier="live")
    assert first["type"] == "provisioned-concurrency"
    listed = client.list_provisioned_concurrency_configs(FunctionName="kept")["ProvisionedConcurrencyConfigs"]
    assert [item["FunctionArn"].rsplit(":", 1)[1] for item in listed] == ["live"] and listed[0]["Status"] == "READY"
    # On the version that the alias points to, directly: its own wish would be counted twice.
    with pytest.raises(client.exceptions.ResourceConflictException):
        client.put_provisioned_concurrency_config(FunctionName="kept", Qualifier=version, ProvisionedConcurrentExecutions=1)

    response, _ = invoke("kept", {"die": True}, Qualifier="live")
    assert response["FunctionError"] == "Unhandled"
    wait_until(lambda: status(client, "kept", "live") == ("READY", 2), what="the replacement")

    client.delete_provisioned_concurrency_config(FunctionName="kept", Qualifier="live")
    with pytest.raises(client.exceptions.ProvisionedConcurrencyConfigNotFoundException):
        client.get_provisioned_concurrency_config(FunctionName="kept", Qualifier="live")
    assert client.list_provisioned_concurrency_configs(FunctionName="kept")["ProvisionedConcurrencyConfigs"] == []


def test_a_function_that_does_not_initialise_is_told(lambda_client):
    version = publish(lambda_client, "kept-broken", "import no_such_module\n")
    lambda_client.put_provisioned_concurrency_config(FunctionName="kept-broken", Qualifier=version, ProvisionedConcurrentExecutions=1)
    wait_until(lambda: status(lambda_client, "kept-broken", version) == ("FAILED", 0), what="the failure")
    answer = lambda_client.get_provisioned_concurrency_config(FunctionName="kept-broken", Qualifier=version)
    assert answer["StatusReason"] == "FUNCTION_ERROR_INIT_FAILURE"


def test_what_cannot_be_kept_is_refused(lambda_client):
    client = lambda_client
    version = publish(client, "kept-refused", CODE)
    client.put_function_concurrency(FunctionName="kept-refused", ReservedConcurrentExecutions=2)
    for qualifier, count in (("$LATEST", 1), (version, 3), (version, 100_000)):
        with pytest.raises(client.exceptions.InvalidParameterValueException):
            client.put_provisioned_concurrency_config(FunctionName="kept-refused", Qualifier=qualifier, ProvisionedConcurrentExecutions=count)
    with pytest.raises(botocore.exceptions.ClientError):
        client.put_provisioned_concurrency_config(FunctionName="kept-refused", Qualifier="nobody", ProvisionedConcurrentExecutions=1)


def test_the_server_starts_with_them_and_stops(new_server):
    server = new_server({"idle_timeout": "1"}).start()
    version = publish(server.client(), "kept-over", CODE)
    server.client().put_provisioned_concurrency_config(FunctionName="kept-over", Qualifier=version, ProvisionedConcurrentExecutions=1)
    wait_until(lambda: status(server.client(), "kept-over", version) == ("READY", 1), what="an initialised instance")
    assert server.stop() == 0
    client = server.start().client()
    wait_until(lambda: status(client, "kept-over", version) == ("READY", 1), what="an initialised instance after a restart")
    invoked = [client.invoke(FunctionName="kept-over", Qualifier=version, Payload=b"{}")["Payload"].read() for _ in range(2)]
    assert invoked[0] == invoked[1] and b"provisioned-concurrency" in invoked[0]
