"""The audit trail with ordinary clients: what is recorded, what never is, and that it lasts."""

import json
import pathlib
import select
import subprocess

import botocore.exceptions
import pytest

from conftest import ROLE, wait_until, zip_bytes

ACCOUNT = "000000000000"
CODE = {"app.py": "def handler(event, context):\n    return event\n"}


def error_of(call, *args, **kwargs):
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        call(*args, **kwargs)
    return caught.value.response["Error"]["Code"]


def command(server, *arguments):
    env = {k: v for k, v in server.env.items() if not k.startswith("MAYFLY_ROOT")}
    env.update(AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test", MAYFLY_ENDPOINT=server.endpoint)
    return [str(server.binary), *arguments], env


def mayfly(server, *arguments):
    line, env = command(server, *arguments)
    return subprocess.run(line, env=env, capture_output=True, text=True, timeout=60)


@pytest.fixture(scope="module")
def trail(server):
    return server.client("cloudtrail")


def lookup(trail, key, value):
    events = trail.lookup_events(LookupAttributes=[{"AttributeKey": key, "AttributeValue": value}])["Events"]
    return [json.loads(e["CloudTrailEvent"]) for e in events]


@pytest.fixture(scope="module")
def user(server):
    iam = server.client("iam")
    iam.create_user(UserName="olga")
    iam.put_user_policy(UserName="olga", PolicyName="p", PolicyDocument=json.dumps(
        {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["sqs:CreateQueue", "lambda:List*"], "Resource": "*"}]}))
    key = iam.create_access_key(UserName="olga")["AccessKey"]
    return {"aws_access_key_id": key["AccessKeyId"], "aws_secret_access_key": key["SecretAccessKey"]}


def test_a_change_is_recorded_in_cloudtrails_form(server, trail, user):
    server.client("sqs", **user).create_queue(QueueName="recorded", Attributes={"DelaySeconds": "3"})
    event, = lookup(trail, "EventName", "CreateQueue")
    assert event["eventSource"] == "sqs.amazonaws.com" and event["awsRegion"] == "us-east-1" and event["readOnly"] is False
    assert event["userIdentity"]["type"] == "IAMUser" and event["userIdentity"]["userName"] == "olga"
    assert event["userIdentity"]["accessKeyId"] == user["aws_access_key_id"]
    assert event["sourceIPAddress"] == "127.0.0.1" and "Boto3" in event["userAgent"]
    assert event["requestParameters"] == {"queueName": "recorded", "attributes": {"DelaySeconds": "3"}}
    assert "recorded" in event["responseElements"]["queueUrl"] and "errorCode" not in event
    assert event["recipientAccountId"] == ACCOUNT and event["eventType"] == "AwsApiCall"
    found = trail.lookup_events(LookupAttributes=[{"AttributeKey": "EventId", "AttributeValue": event["eventID"]}])["Events"][0]
    assert found["Username"] == "olga" and found["EventName"] == "CreateQueue" and found["ReadOnly"] == "false"
    assert [e["eventName"] for e in lookup(trail, "ResourceName", "recorded")] == ["CreateQueue"]


def test_every_refusal_is_recorded_and_calls_that_move_data_are_not(server, trail, user, make_function):
    name = make_function("audited", "python3.11", "app.handler", CODE)
    olga, sqs = server.client("lambda", **user), server.client("sqs")
    assert error_of(olga.delete_function, FunctionName=name) == "AccessDeniedException"
    assert error_of(olga.invoke, FunctionName=name) == "AccessDeniedException"
    server.client().invoke(FunctionName=name)
    url = sqs.create_queue(QueueName="quiet")["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="x")
    wait_until(lambda: len(lookup(trail, "EventName", "Invoke")) == 1, what="the refusal in the trail")
    refused, = lookup(trail, "EventName", "Invoke")
    assert refused["errorCode"] == "AccessDeniedException" and "lambda:InvokeFunction" in refused["errorMessage"]
    refused, = [e for e in lookup(trail, "EventName", "DeleteFunction") if "errorCode" in e]
    assert refused["requestParameters"]["functionName"] == name
    assert lookup(trail, "EventName", "SendMessage") == []
    names = {e["EventName"] for page in trail.get_paginator("lookup_events").paginate(PaginationConfig={"PageSize": 5}) for e in page["Events"]}
    assert {"CreateFunction", "CreateUser", "CreateQueue"} <= names
    assert error_of(server.client("cloudtrail", **user).lookup_events) == "AccessDeniedException"


def test_no_secret_is_ever_recorded_and_what_was_answered_is_there_after_a_kill(new_server):
    server = new_server().start()
    needle = "cleartext-needle-"
    server.client("secretsmanager").create_secret(Name="s", SecretString=needle + "1")
    server.client("secretsmanager").put_secret_value(SecretId="s", SecretBinary=(needle + "2").encode())
    server.client("secretsmanager").get_secret_value(SecretId="s", VersionStage="AWSPREVIOUS")
    server.client("ssm").put_parameter(Name="p", Value=needle + "3", Type="SecureString")
    server.client().create_function(FunctionName="f", Runtime="python3.11", Handler="app.handler", Role=ROLE, Code={"ZipFile": zip_bytes(CODE)},
                                    Environment={"Variables": {"TOKEN": needle + "4"}})
    server.client("events").create_connection(Name="c", AuthorizationType="BASIC", AuthParameters={"BasicAuthParameters": {"Username": "u", "Password": needle + "5"}})
    server.client("iam").create_user(UserName="u")
    secret = server.client("iam").create_access_key(UserName="u")["AccessKey"]["SecretAccessKey"]
    token = server.client("sts").get_session_token()["Credentials"]["SessionToken"]
    server.client("secretsmanager").delete_secret(SecretId="s")
    server.kill()
    disk = b"".join(path.read_bytes() for path in pathlib.Path(server.data_dir).rglob("*") if path.is_file() and not path.is_symlink())
    assert b"CreateAccessKey" in disk
    for text in (needle, secret, token):
        assert text.encode() not in disk
    server.start()
    trail = server.client("cloudtrail")
    for name in ("CreateSecret", "PutSecretValue", "PutParameter", "CreateFunction", "CreateConnection", "CreateAccessKey", "DeleteSecret"):
        assert len(lookup(trail, "EventName", name)) == 1, name
    created, = lookup(trail, "EventName", "CreateSecret")
    assert created["requestParameters"]["name"] == "s" and created["requestParameters"]["secretString"] == "HIDDEN_DUE_TO_SECURITY_REASONS"


def test_the_command_line_shows_filters_and_follows(server, user):
    line, env = command(server, "audit", "-f", "--json", "--service", "sns")
    follower = subprocess.Popen(line, env=env, stdout=subprocess.PIPE, text=True)
    try:
        topics = server.client("sns")
        seen = None
        # The follower hears what comes after it is there: topics are made until one is seen.
        for number in range(200):
            topics.create_topic(Name=f"followed-{number}")
            if select.select([follower.stdout], [], [], 0.2)[0]:
                seen = json.loads(follower.stdout.readline())
                break
        assert seen and seen["eventName"] == "CreateTopic"
    finally:
        follower.terminate()
        follower.wait(20)
    assert error_of(server.client("sns", **user).list_topics) in ("AccessDenied", "AuthorizationError", "AccessDeniedException")
    wait_until(lambda: "ListTopics" in mayfly(server, "audit", "--denied", "--user", "olga").stdout, what="the refusal")
    events = json.loads(mayfly(server, "audit", "--json", "--event", "CreateTopic", "-n", "1").stdout)
    assert len(events) == 1 and events[0]["eventName"] == "CreateTopic"
    assert mayfly(server, "audit", "--event", "NoSuchThing").stderr.strip() == "nothing was recorded that fits"


def test_old_calls_go_by_the_clock(new_server):
    server = new_server({"test_clock": "true", "audit.retention_days": "7"}).start()
    server.client("sqs").create_queue(QueueName="old")
    assert lookup(server.client("cloudtrail"), "EventName", "CreateQueue")
    assert mayfly(server, "clock", "advance", "8d").returncode == 0
    server.client("sqs").create_queue(QueueName="new")
    assert mayfly(server, "clock", "advance", "2h").returncode == 0
    wait_until(lambda: [e["requestParameters"]["queueName"] for e in lookup(server.client("cloudtrail"), "EventName", "CreateQueue")] == ["new"], what="the trim")
