"""API keys and usage plans: keys that open stages, throttles, quotas that survive a restart, keys that are never in clear on the disk."""

import datetime
import json

import botocore.exceptions
import pytest

from conftest import send_http

ACCOUNT = "000000000000"
VALUE = "a-key-of-at-least-twenty-characters"
MOCK = {"type": "mock", "requestTemplates": {"application/json": "{statusCode:200}"}, "responses": {"default": {
    "statusCode": "200", "responseTemplates": {"application/json": '{"key":"$context.identity.apiKeyId"}'}}}}


def document():
    """An API as SAM makes it with a usage plan."""
    closed = {"security": [{"api_key": []}], "x-amazon-apigateway-integration": MOCK}
    return json.dumps({"swagger": "2.0", "info": {"title": "keys", "version": "1.0"},
                       "securityDefinitions": {"api_key": {"type": "apiKey", "name": "x-api-key", "in": "header"}},
                       "paths": {"/closed": {"get": closed, "put": closed}, "/open": {"get": {"x-amazon-apigateway-integration": MOCK}}}})


def made_on(server):
    gateway = server.client("apigateway")
    api = gateway.import_rest_api(body=document())["id"]
    gateway.create_deployment(restApiId=api, stageName="Prod")
    return gateway, api


def ask(server, api, path="/Prod/closed", method="GET", key=None):
    answer = send_http(server, api + ".execute-api.localhost", path, method, headers={"x-api-key": key} if key else None)
    return answer.status, answer.json(), answer.headers


def refused(call):
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        call()
    return caught.value.response["Error"]


def today(days=0):
    return (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=days)).strftime("%Y-%m-%d")


@pytest.fixture(scope="module")
def keyed(server):
    return made_on(server)


def test_a_key_opens_the_stages_of_its_plan(server, keyed):
    gateway, api = keyed
    forbidden = (403, {"message": "Forbidden"})
    assert ask(server, api, "/Prod/open")[0] == 200
    assert ask(server, api)[:2] == forbidden and ask(server, api, key="unknown-unknown-unknown")[:2] == forbidden
    key = gateway.create_api_key(name="one", value=VALUE, enabled=True)
    assert key["value"] == VALUE and key["stageKeys"] == []
    assert ask(server, api, key=VALUE)[:2] == forbidden, "a key of no plan"
    plan = gateway.create_usage_plan(name="gold", apiStages=[{"apiId": api, "stage": "Prod"}])
    gateway.create_usage_plan_key(usagePlanId=plan["id"], keyId=key["id"], keyType="API_KEY")
    status, body, headers = ask(server, api, key=VALUE)
    assert (status, body) == (200, {"key": key["id"]})
    gateway.update_api_key(apiKey=key["id"], patchOperations=[{"op": "replace", "path": "/enabled", "value": "false"}])
    assert ask(server, api, key=VALUE)[:2] == forbidden
    gateway.update_api_key(apiKey=key["id"], patchOperations=[{"op": "replace", "path": "/enabled", "value": "true"}])
    assert ask(server, api, key=VALUE)[0] == 200
    gateway.update_usage_plan(usagePlanId=plan["id"], patchOperations=[{"op": "remove", "path": "/apiStages", "value": f"{api}:Prod"}])
    assert ask(server, api, key=VALUE)[:2] == forbidden
    gateway.delete_usage_plan(usagePlanId=plan["id"])
    gateway.delete_api_key(apiKey=key["id"])


def test_keys_are_listed_without_their_values(server, keyed):
    gateway, _ = keyed
    made = gateway.create_api_key(name="listed", enabled=True, customerId="c1", description="d", tags={"a": "b"})
    assert len(made["value"]) == 40 and "value" not in gateway.get_api_key(apiKey=made["id"])
    assert gateway.get_api_key(apiKey=made["id"], includeValue=True)["value"] == made["value"]
    found = gateway.get_api_keys(nameQuery="lis", customerId="c1", includeValues=True)["items"]
    assert [one["value"] for one in found] == [made["value"]]
    assert refused(lambda: gateway.create_api_key(value=made["value"]))["Code"] == "ConflictException"
    assert refused(lambda: gateway.create_api_key(value="short"))["Message"] == "API Key value should be at least 20 characters"
    error = refused(lambda: gateway.update_api_key(apiKey=made["id"], patchOperations=[{"op": "replace", "path": "/id", "value": "x"}]))
    assert error["Message"] == "Invalid patch path  '/id' specified for op 'replace'. Must be one of: [/description, /enabled, /name, /customerId]"
    csv = "Name,key,description,Enabled\nfrom-file,imported-imported-imported-1,x,TRUE\ntoo-short,abc,x,true\n"
    imported = gateway.import_api_keys(body=csv, format="csv")
    assert len(imported["ids"]) == 1 and imported["warnings"] == ["API Key value should be at least 20 characters"]
    trail = server.client("cloudtrail").lookup_events(LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": "CreateApiKey"}])["Events"]
    assert trail and all(made["value"] not in one["CloudTrailEvent"] for one in trail)


def test_throttles_of_a_plan_and_of_a_method(server, keyed):
    gateway, api = keyed
    plan = gateway.create_usage_plan(name="slow", throttle={"rateLimit": 0.01, "burstLimit": 2}, apiStages=[
        {"apiId": api, "stage": "Prod", "throttle": {"/closed/PUT": {"rateLimit": 0.01, "burstLimit": 1}}}])
    keys = [gateway.create_api_key(name=name, enabled=True) for name in ("t1", "t2")]
    for key in keys:
        gateway.create_usage_plan_key(usagePlanId=plan["id"], keyId=key["id"], keyType="API_KEY")
    assert [ask(server, api, key=keys[0]["value"])[0] for _ in range(3)] == [200, 200, 429]
    status, body, headers = ask(server, api, key=keys[0]["value"])
    assert (status, body, headers["x-amzn-ErrorType"]) == (429, {"message": "Too Many Requests"}, "TooManyRequestsException") and int(headers["Retry-After"]) > 1
    assert [ask(server, api, method="PUT", key=keys[0]["value"])[0] for _ in range(2)] == [200, 429]
    assert ask(server, api, key=keys[1]["value"])[0] == 200, "each key has buckets of its own"
    error = refused(lambda: gateway.delete_usage_plan(usagePlanId=plan["id"]))
    assert "API stages" in error["Message"]
    error = refused(lambda: gateway.create_usage_plan(name="bad", quota={"limit": 1, "period": "WEEK", "offset": 7}))
    assert error["Message"] == "Usage Plan quota offset must be between zero and six, inclusive, in the WEEK period"


def test_quotas_and_keys_survive_a_restart(new_server):
    server = new_server().start()
    gateway, api = made_on(server)
    key = gateway.create_api_key(name="kept", value=VALUE, enabled=True)
    plan = gateway.create_usage_plan(name="three", quota={"limit": 3, "period": "MONTH"}, apiStages=[{"apiId": api, "stage": "Prod"}])
    gateway.create_usage_plan_key(usagePlanId=plan["id"], keyId=key["id"], keyType="API_KEY")
    assert [ask(server, api, key=VALUE)[0] for _ in range(2)] == [200, 200]
    server.stop()
    folder = server.data_dir / "data"
    assert not [file for file in folder.rglob("*") if file.is_file() and VALUE.encode() in file.read_bytes()]
    server.start()
    gateway = server.client("apigateway")
    assert gateway.get_api_key(apiKey=key["id"], includeValue=True)["value"] == VALUE
    assert ask(server, api, key=VALUE)[0] == 200
    status, body, headers = ask(server, api, key=VALUE)
    assert (status, body, headers["x-amzn-ErrorType"]) == (429, {"message": "Limit Exceeded"}, "LimitExceededException")
    assert 0 < int(headers["Retry-After"]) <= 31 * 86400
    used = gateway.get_usage(usagePlanId=plan["id"], startDate=today(-1), endDate=today())["items"][key["id"]]
    assert sum(row[0] for row in used) == 3 and used[-1][1] == 0, used
    gateway.update_usage_plan(usagePlanId=plan["id"], patchOperations=[{"op": "replace", "path": "/quota/limit", "value": "5"}])
    assert ask(server, api, key=VALUE)[0] == 200
    assert [one["id"] for one in gateway.get_usage_plan_keys(usagePlanId=plan["id"])["items"]] == [key["id"]]
    gateway.delete_api_key(apiKey=key["id"])
    assert gateway.get_usage_plan_keys(usagePlanId=plan["id"])["items"] == [] and ask(server, api, key=VALUE)[0] == 403
