"""Buses, rules, targets, schedules, archives and API destinations, as boto3 uses them."""

import datetime
import http.server
import json
import threading
import time
import uuid

import botocore.exceptions
import pytest

FUNCTION = {"app.py": "def handler(event, context):\n    print('GOT', __import__('json').dumps(event))\n"}


@pytest.fixture(scope="module")
def events(server):
    return server.client("events")


@pytest.fixture(scope="module")
def target(make_function):
    make_function("bus-target", "python3.11", "app.handler", FUNCTION, Timeout=10)
    return "arn:aws:lambda:us-east-1:000000000000:function:bus-target"


@pytest.fixture
def rule(events):
    made = []

    def make(pattern=None, targets=(), bus="default", **more):
        name = "rule-" + uuid.uuid4().hex[:8]
        if pattern is not None:
            more["EventPattern"] = json.dumps(pattern)
        events.put_rule(Name=name, EventBusName=bus, **more)
        made.append((name, bus))
        if targets:
            assert events.put_targets(Rule=name, EventBusName=bus, Targets=list(targets))["FailedEntryCount"] == 0
        return name

    yield make
    for name, bus in made:
        ids = [t["Id"] for t in events.list_targets_by_rule(Rule=name, EventBusName=bus)["Targets"]]
        if ids:
            events.remove_targets(Rule=name, EventBusName=bus, Ids=ids)
        events.delete_rule(Name=name, EventBusName=bus)


def put(events, detail, source="test.shop", detail_type="order", **more):
    answer = events.put_events(Entries=[{"Source": source, "DetailType": detail_type, "Detail": json.dumps(detail), **more}])
    assert answer["FailedEntryCount"] == 0
    return answer["Entries"][0]["EventId"]


def lines(server, function="bus-target"):
    """What the function printed, read from the log store's files."""
    folder = server.data_dir / "data/logs" / ("%2Faws%2Flambda%2F" + function)
    text = "".join(p.read_text() for p in sorted(folder.glob("*.log"))) if folder.exists() else ""
    found = [json.loads(line)["m"] for line in text.splitlines() if '"GOT ' in line]
    return [json.loads(m.strip()[4:]) for m in found]


def seen(server, tools, wanted, seconds=30):
    tools.wait_until(lambda: any(wanted(e) for e in lines(server)), seconds, "the event at the function")
    return next(e for e in lines(server) if wanted(e))


def test_an_event_reaches_a_function(server, events, tools, rule, target):
    mark = uuid.uuid4().hex
    name = rule({"source": ["test.shop"], "detail": {"mark": [mark]}}, [{"Id": "f", "Arn": target}])
    event_id = put(events, {"mark": mark, "total": 12.5}, Resources=["arn:aws:test:::thing"])
    put(events, {"mark": "other"})
    event = seen(server, tools, lambda e: e.get("detail", {}).get("mark") == mark)
    assert event["id"] == event_id and event["detail-type"] == "order" and event["source"] == "test.shop"
    assert event["account"] == "000000000000" and event["region"] == "us-east-1" and event["version"] == "0"
    assert event["resources"] == ["arn:aws:test:::thing"] and event["detail"]["total"] == 12.5
    assert events.list_rule_names_by_target(TargetArn=target)["RuleNames"] == [name]


def test_an_input_transformer_makes_the_input(server, events, tools, rule, target):
    mark = uuid.uuid4().hex
    name = rule({"detail": {"mark": [mark]}}, [{"Id": "f", "Arn": target, "InputTransformer": {
        "InputPathsMap": {"m": "$.detail.mark", "items": "$.detail.items[*].n"},
        "InputTemplate": '{"mark": <m>, "text": "mark <m> by <aws.events.rule-name>", "items": <items>, "missing": "<aws.events.rule-arn>"}'}}])
    put(events, {"mark": mark, "items": [{"n": 1}, {"n": 2}]})
    event = seen(server, tools, lambda e: e.get("mark") == mark)
    assert event == {"mark": mark, "text": f"mark {mark} by {name}", "items": [1, 2],
                     "missing": f"arn:aws:events:us-east-1:000000000000:rule/{name}"}


def test_a_bus_of_its_own_and_a_bus_as_target(server, events, tools, rule, target):
    bus, mark = "bus-" + uuid.uuid4().hex[:8], uuid.uuid4().hex
    arn = events.create_event_bus(Name=bus, Tags=[{"Key": "team", "Value": "a"}])["EventBusArn"]
    rule({"source": ["test.shop"], "detail": {"mark": [mark]}}, [{"Id": "on", "Arn": arn}])
    rule({"detail": {"mark": [mark]}}, [{"Id": "f", "Arn": target}], bus=bus)
    event_id = put(events, {"mark": mark})
    assert seen(server, tools, lambda e: e.get("detail", {}).get("mark") == mark)["id"] == event_id
    assert events.list_tags_for_resource(ResourceARN=arn)["Tags"] == [{"Key": "team", "Value": "a"}]


def test_accepted_events_survive_a_kill(new_server, tools):
    server = new_server().start()
    functions, events = server.client(), server.client("events")
    functions.create_function(FunctionName="bus-target", Runtime="python3.11", Handler="app.handler", Role=tools.role,
                              Code={"ZipFile": tools.zip_bytes(FUNCTION)})
    functions.get_waiter("function_active_v2").wait(FunctionName="bus-target", WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    events.put_rule(Name="r", EventPattern=json.dumps({"source": ["test.shop"]}))
    events.put_targets(Rule="r", Targets=[{"Id": "f", "Arn": "arn:aws:lambda:us-east-1:000000000000:function:bus-target"}])
    for i in range(5):
        events.put_events(Entries=[{"Source": "test.shop", "DetailType": "t", "Detail": json.dumps({"n": 10 * i + k})} for k in range(10)])
    server.kill()
    server.start()
    tools.wait_until(lambda: {e["detail"]["n"] for e in lines(server)} == set(range(50)), 60, "every accepted event")
    assert server.stop() == 0


def test_a_schedule_fires_through_a_restart(new_server, tools):
    server = new_server().start()
    functions, events = server.client(), server.client("events")
    functions.create_function(FunctionName="bus-target", Runtime="python3.11", Handler="app.handler", Role=tools.role,
                              Code={"ZipFile": tools.zip_bytes(FUNCTION)})
    functions.get_waiter("function_active_v2").wait(FunctionName="bus-target", WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    arn = events.put_rule(Name="tick", ScheduleExpression="cron(* * * * ? *)")["RuleArn"]
    events.put_targets(Rule="tick", Targets=[{"Id": "f", "Arn": "arn:aws:lambda:us-east-1:000000000000:function:bus-target"}])
    server.stop()
    # While nobody is there a minute passes.
    begun = time.time()
    tools.wait_until(lambda: int(time.time() / 60) > int(begun / 60), 61, "the next minute")
    server.start()
    tools.wait_until(lambda: lines(server), 20, "the time that was missed")
    event = lines(server)[0]
    assert event["detail-type"] == "Scheduled Event" and event["source"] == "aws.events" and event["resources"] == [arn] and event["detail"] == {}
    assert datetime.datetime.strptime(event["time"], "%Y-%m-%dT%H:%M:%SZ").second == 0
    assert server.stop() == 0


def test_an_archive_is_replayed(server, events, tools, rule, target):
    bus, mark = "bus-" + uuid.uuid4().hex[:8], uuid.uuid4().hex
    arn = events.create_event_bus(Name=bus)["EventBusArn"]
    archive = events.create_archive(ArchiveName="a-" + mark[:8], EventSourceArn=arn, RetentionDays=1)["ArchiveArn"]
    start = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(minutes=1)
    event_id = put(events, {"mark": mark}, EventBusName=bus)
    rule({"detail": {"mark": [mark]}}, [{"Id": "f", "Arn": target}], bus=bus)
    events.start_replay(ReplayName="p-" + mark[:8], EventSourceArn=archive, EventStartTime=start,
                        EventEndTime=start + datetime.timedelta(hours=1), Destination={"Arn": arn})
    event = seen(server, tools, lambda e: e.get("detail", {}).get("mark") == mark)
    assert event["id"] == event_id and event["replay-name"] == "p-" + mark[:8]
    tools.wait_until(lambda: events.describe_replay(ReplayName="p-" + mark[:8])["State"] == "COMPLETED", 20, "the end of the replay")


def test_refusals_are_the_service_s(events):
    def refused(call, **arguments):
        with pytest.raises(botocore.exceptions.ClientError) as error:
            call(**arguments)
        return error.value.response["Error"]["Code"], error.value.response["Error"]["Message"]

    assert refused(events.put_rule, Name="r", EventPattern='{"a": 1}') == (
        "InvalidEventPatternException", 'Event pattern is not valid. Reason: "a" must be an object or an array\n at [Source: (String)"{"a": 1}"; line: 1, column: 8]')
    assert refused(events.put_rule, Name="r", ScheduleExpression="rate(1 minutes)") == ("ValidationException", "Parameter ScheduleExpression is not valid.")
    assert refused(events.describe_rule, Name="none") == ("ResourceNotFoundException", "Rule none does not exist on EventBus default.")
    assert refused(events.delete_event_bus, Name="default") == ("ValidationException", "Cannot delete event bus default.")
    answer = events.put_events(Entries=[{"Source": "s", "DetailType": "t", "Detail": "[]"}, {"Source": "s", "DetailType": "t", "Detail": "{}"}])
    assert answer["FailedEntryCount"] == 1 and answer["Entries"][0]["ErrorCode"] == "MalformedDetail" and answer["Entries"][1]["EventId"]


def test_a_pattern_is_tested(events):
    event = json.dumps({"id": "1", "account": "000000000000", "source": "s", "time": "2026-01-01T00:00:00Z", "region": "us-east-1",
                        "resources": [], "detail-type": "t", "detail": {"n": 3}})
    assert events.test_event_pattern(Event=event, EventPattern='{"detail": {"n": [{"numeric": [">", 2]}]}}')["Result"]
    assert not events.test_event_pattern(Event=event, EventPattern='{"detail": {"n": [{"numeric": [">", 3]}]}}')["Result"]
