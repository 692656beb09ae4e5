"""EventBridge Scheduler by boto3: its operations, firing in real time and across a kill, and a day on a clock that is moved."""

import datetime
import json
import subprocess
import time
import urllib.error
import urllib.request

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import botocore.exceptions
import pytest

from conftest import BINARY, ROLE, service_role, zip_bytes

TICK = "def handler(event, context):\n    print('TICK ' + str(event))\n"


def own_api(server, method, path, body=None):
    """A call of Mayfly's own API: (status, JSON or text)."""
    data = json.dumps(body).encode() if body is not None else b""
    request = botocore.awsrequest.AWSRequest(method=method, url=server.endpoint + path, data=data)
    credentials = botocore.credentials.Credentials("test", "test")
    botocore.auth.SigV4Auth(credentials, "mayfly", "us-east-1").add_auth(request)
    plain = urllib.request.Request(server.endpoint + path, data=data if method == "POST" else None, method=method, headers=dict(request.headers))
    try:
        with urllib.request.urlopen(plain, timeout=120) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def ticks(server, name):
    status, text = own_api(server, "GET", f"/_mayfly/logs?function={name}&limit=5000")
    assert status == 200
    lines = [json.loads(line)["message"] for line in text.splitlines() if line.strip()]
    return [line.split("TICK ", 1)[1].strip() for line in lines if "TICK " in line]


def wait_for(what, seconds=30):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = what()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError("it did not happen in time")


def make_tick(server, name):
    client = server.client()
    service_role(server, "scheduler")
    made = client.create_function(FunctionName=name, Runtime="python3.11", Handler="index.handler", Role=ROLE,
                                  Code={"ZipFile": zip_bytes({"index.py": TICK})})
    client.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    return made["FunctionArn"]


def target(arn, **more):
    return {"Arn": arn, "RoleArn": ROLE, **more}


OFF = {"Mode": "OFF"}
FUNCTION = "arn:aws:lambda:us-east-1:000000000000:function:none"


@pytest.fixture(scope="module")
def scheduler(server):
    return server.client("scheduler")


def refusal(call, **arguments):
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        call(**arguments)
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


def test_a_schedule_lives(scheduler):
    made = scheduler.create_schedule(Name="nightly", ScheduleExpression="cron(0 2 * * ? *)", ScheduleExpressionTimezone="Europe/Berlin",
                                     FlexibleTimeWindow=OFF, Target=target(FUNCTION, Input="{}"), Description="at night")
    assert made["ScheduleArn"] == "arn:aws:scheduler:us-east-1:000000000000:schedule/default/nightly"
    got = scheduler.get_schedule(Name="nightly")
    assert got["State"] == "ENABLED" and got["GroupName"] == "default" and got["ActionAfterCompletion"] == "NONE"
    assert got["Target"]["RetryPolicy"] == {"MaximumEventAgeInSeconds": 86400, "MaximumRetryAttempts": 185}
    assert abs(got["CreationDate"].timestamp() - time.time()) < 60
    scheduler.update_schedule(Name="nightly", ScheduleExpression="rate(5 days)", FlexibleTimeWindow={"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 60},
                              Target=target(FUNCTION), State="DISABLED")
    got = scheduler.get_schedule(Name="nightly")
    assert "Description" not in got and got["State"] == "DISABLED" and got["ScheduleExpressionTimezone"] == "UTC"
    assert refusal(scheduler.create_schedule, Name="nightly", ScheduleExpression="rate(1 day)", FlexibleTimeWindow=OFF,
                   Target=target(FUNCTION)) == ("ConflictException", "Schedule nightly already exists.")
    scheduler.delete_schedule(Name="nightly")
    assert refusal(scheduler.get_schedule, Name="nightly") == ("ResourceNotFoundException", "Schedule nightly does not exist.")


def test_refusals(scheduler):
    def create(**more):
        arguments = {"Name": "bad", "ScheduleExpression": "rate(1 day)", "FlexibleTimeWindow": OFF, "Target": target(FUNCTION), **more}
        return refusal(scheduler.create_schedule, **arguments)

    assert create(ScheduleExpression="rate(10 seconds)") == ("ValidationException", "Invalid Schedule Expression rate(10 seconds).")
    assert create(ScheduleExpression="cron(0 25 * * ? *)") == ("ValidationException", "Invalid Schedule Expression cron(0 25 * * ? *).")
    assert create(ScheduleExpressionTimezone="Mars/Base")[0] == "ValidationException"
    assert "KmsKeyArn" in create(KmsKeyArn="arn:aws:kms:us-east-1:000000000000:key/a")[1]
    assert create(Target=target("arn:aws:kinesis:us-east-1:000000000000:stream/s"))[1] == "kinesis is not a supported service for a target."
    assert create(Target=target("arn:aws:scheduler:::aws-sdk:sqs:getQueueUrl", Input="{}"))[1] == "getQueueUrl API is not supported"
    assert "ec2:startInstances" in create(Target=target("arn:aws:scheduler:::aws-sdk:ec2:startInstances", Input="{}"))[1]
    assert create(GroupName="nowhere")[0] == "ResourceNotFoundException"


def test_groups_lists_and_tags(scheduler):
    arn = scheduler.create_schedule_group(Name="team", Tags=[{"Key": "a", "Value": "b"}])["ScheduleGroupArn"]
    for i in range(25):
        scheduler.create_schedule(Name=f"s-{i:02}", GroupName="team", ScheduleExpression="rate(1 day)", FlexibleTimeWindow=OFF,
                                  Target=target(FUNCTION), State="DISABLED" if i % 5 == 0 else "ENABLED",
                                  StartDate=datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=1))
    pages = list(scheduler.get_paginator("list_schedules").paginate(GroupName="team", PaginationConfig={"PageSize": 7}))
    names = [s["Name"] for page in pages for s in page["Schedules"]]
    assert names == [f"s-{i:02}" for i in range(25)] and len(pages) == 4
    assert len(scheduler.list_schedules(GroupName="team", State="DISABLED")["Schedules"]) == 5
    assert len(scheduler.list_schedules(NamePrefix="s-1")["Schedules"]) == 10
    scheduler.tag_resource(ResourceArn=arn, Tags=[{"Key": "c", "Value": "d"}])
    scheduler.untag_resource(ResourceArn=arn, TagKeys=["a"])
    assert scheduler.list_tags_for_resource(ResourceArn=arn)["Tags"] == [{"Key": "c", "Value": "d"}]
    assert [g["Name"] for g in scheduler.list_schedule_groups()["ScheduleGroups"]] == ["default", "team"]
    scheduler.delete_schedule_group(Name="team")

    def gone():
        try:
            return scheduler.get_schedule_group(Name="team")["State"] != "DELETING"
        except scheduler.exceptions.ResourceNotFoundException:
            return True

    wait_for(gone)
    assert scheduler.list_schedules()["Schedules"] == []


def test_it_fires_in_real_time_and_goes(server, scheduler):
    arn = make_tick(server, "soon")
    at = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0) + datetime.timedelta(seconds=2)
    scheduler.create_schedule(Name="soon", ScheduleExpression=f"at({at:%Y-%m-%dT%H:%M:%S})", FlexibleTimeWindow=OFF, ActionAfterCompletion="DELETE",
                              Target=target(arn, Input='{"at": "<aws.scheduler.scheduled-time>", "of": "<aws.scheduler.schedule-arn>"}'))
    seen = wait_for(lambda: ticks(server, "soon"))
    assert f"'at': '{at:%Y-%m-%dT%H:%M:%SZ}'" in seen[0] and "schedule/default/soon" in seen[0]
    assert refusal(scheduler.get_schedule, Name="soon")[0] == "ResourceNotFoundException"
    assert own_api(server, "GET", "/_mayfly/clock")[0] == 409


def test_what_was_missed_while_the_server_was_killed_runs_at_its_start(new_server):
    server = new_server().start()
    arn = make_tick(server, "missed")
    at = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0) + datetime.timedelta(seconds=2)
    server.client("scheduler").create_schedule(Name="missed", ScheduleExpression=f"at({at:%Y-%m-%dT%H:%M:%S})", FlexibleTimeWindow=OFF,
                                               Target=target(arn, Input='"late"'))
    server.kill()
    while datetime.datetime.now(datetime.timezone.utc) < at:
        time.sleep(0.05)
    server.start()
    assert wait_for(lambda: ticks(server, "missed")) == ["late"]


def test_a_day_on_a_clock_that_is_moved(new_server):
    server = new_server({"test_clock": "true"}).start()
    scheduler = server.client("scheduler")
    arn = make_tick(server, "day")
    now = json.loads(own_api(server, "GET", "/_mayfly/clock")[1])["now"]
    day = (datetime.datetime.fromisoformat(now.replace("Z", "+00:00")) + datetime.timedelta(days=1)).date()
    assert own_api(server, "POST", "/_mayfly/clock", {"to": f"{day}T00:00:00Z"})[0] == 200
    for name, expression in (("quarters", "cron(0/15 * * * ? *)"), ("noon", "cron(0 12 * * ? *)")):
        scheduler.create_schedule(Name=name, ScheduleExpression=expression, FlexibleTimeWindow=OFF, ScheduleExpressionTimezone="UTC",
                                  Target=target(arn, Input=f'"{name} <aws.scheduler.scheduled-time>"'))
    began = time.monotonic()
    status, answer = own_api(server, "POST", "/_mayfly/clock", {"advance_seconds": 86400})
    took = time.monotonic() - began
    assert status == 200, answer
    assert json.loads(answer)["now"] == f"{day + datetime.timedelta(days=1)}T00:00:00.000Z"
    seen = wait_for(lambda: (lambda t: len(t) >= 97 and t)(ticks(server, "day")))
    quarters = [line.split()[1] for line in seen if line.startswith("quarters")]
    first = datetime.datetime.combine(day, datetime.time())
    assert quarters == [f"{first + datetime.timedelta(minutes=15 * (i + 1)):%Y-%m-%dT%H:%M:%SZ}" for i in range(96)]
    assert [line for line in seen if line.startswith("noon")] == [f"noon {day}T12:00:00Z"]
    assert took < 30, f"a day took {took} s"
    # Signatures go by real time, whatever this clock shows.
    assert scheduler.list_schedules()["Schedules"]
    assert own_api(server, "POST", "/_mayfly/clock", {"to": "2020-01-01T00:00:00Z"})[0] == 400
    assert own_api(server, "POST", "/_mayfly/clock", {"advance_seconds": -1})[0] == 400
    # It goes on from there after a restart.
    assert server.stop() == 0
    server.start()
    assert json.loads(own_api(server, "GET", "/_mayfly/clock")[1])["now"].startswith(f"{day + datetime.timedelta(days=1)}T00:00:00")


def test_the_command_line(new_server):
    server = new_server({"test_clock": "true"}).start()
    arn = make_tick(server, "typed")
    server.client("scheduler").create_schedule(Name="hourly", ScheduleExpression="rate(1 hour)", FlexibleTimeWindow=OFF, Target=target(arn, Input='"x"'))

    def mayfly(*arguments, code=0):
        done = subprocess.run([str(BINARY), *arguments, "--data", str(server.data_dir / "data")], env=server.env, capture_output=True, text=True, timeout=60)
        assert done.returncode == code, (done.stdout, done.stderr)
        return done

    wait_for(lambda: ticks(server, "typed"))
    [listed] = json.loads(mayfly("schedule", "ls", "--json").stdout)
    assert listed["Name"] == "hourly" and listed["Expression"] == "rate(1 hour)" and listed["Next"] > listed["Last"]
    assert "hourly" in mayfly("schedule", "ls").stdout
    assert len(json.loads(mayfly("schedule", "show", "hourly", "--json").stdout)["Upcoming"]) == 5
    before = len(wait_for(lambda: ticks(server, "typed")))
    mayfly("schedule", "run-now", "hourly")
    wait_for(lambda: len(ticks(server, "typed")) == before + 1)
    assert "does not exist" in mayfly("schedule", "run-now", "nothing", code=1).stderr
    shown = mayfly("clock", "show").stdout.strip()
    moved = mayfly("clock", "advance", "1h30m").stdout.strip()
    parse = lambda text: datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    assert parse(moved) - parse(shown) == datetime.timedelta(minutes=90)
    wait_for(lambda: len(ticks(server, "typed")) == before + 2)
    assert "is no duration" in mayfly("clock", "advance", "soon", code=1).stderr
