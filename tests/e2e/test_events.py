"""Buses, rules, targets, schedules, archives and API destinations, as boto3 uses them."""

import datetime
import http.server
import json
import subprocess
import threading
import uuid

import botocore.exceptions
import pytest

TARGET = "arn:aws:lambda:us-east-1:000000000000:function:bus-target"
FUNCTION = {"app.py": "def handler(event, context):\n    print('GOT', __import__('json').dumps(event))\n"}


@pytest.fixture(scope="module")
def events(server):
    return server.client("events")


@pytest.fixture(scope="module")
def target(server, make_function, tools):
    make_function("bus-target", "python3.11", "app.handler", FUNCTION, Timeout=10)
    tools.allow_service(server, TARGET, "events")
    return TARGET


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


def queue_of(server, name):
    """A queue that rules may send to: its URL and ARN."""
    sqs = server.client("sqs")
    policy = {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": "*"}]}
    url = sqs.create_queue(QueueName=name, Attributes={"Policy": json.dumps(policy)})["QueueUrl"]
    return url, sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]


def received(server, url):
    """One message: its body, and its attributes as {name: (type, value)}."""
    for _ in range(10):
        messages = server.client("sqs").receive_message(QueueUrl=url, WaitTimeSeconds=3, MessageAttributeNames=["All"]).get("Messages", [])
        if messages:
            server.client("sqs").delete_message(QueueUrl=url, ReceiptHandle=messages[0]["ReceiptHandle"])
            attributes = messages[0].get("MessageAttributes", {})
            return json.loads(messages[0]["Body"]), {k: (v["DataType"], v["StringValue"]) for k, v in attributes.items()}
    raise AssertionError("no message came")


def test_a_queue_gets_the_event_and_dead_letters_say_why(server, events, rule, endpoint, destination):
    url, queue = queue_of(server, "rule-target")
    dead_url, dead = queue_of(server, "rule-dead")
    gone_url, gone = queue_of(server, "rule-gone")
    _, failing = destination(endpoint.url + "/fails", "API_KEY", {"ApiKeyAuthParameters": {"ApiKeyName": "x-key", "ApiKeyValue": "v"}})
    endpoint.failures = 2
    letters = {"DeadLetterConfig": {"Arn": dead}}
    name = rule({"source": ["test.dead"], "detail-type": ["gone"]}, [{"Id": "q", "Arn": queue}, {"Id": "gone", "Arn": gone, **letters}])
    server.client("sqs").delete_queue(QueueUrl=gone_url)
    put(events, {"n": 1}, source="test.dead", detail_type="gone")
    assert received(server, url)[0]["detail"] == {"n": 1}
    body, attributes = received(server, dead_url)
    assert body["detail"] == {"n": 1}
    assert attributes == {"RULE_ARN": ("String", f"arn:aws:events:us-east-1:000000000000:rule/{name}"), "TARGET_ARN": ("String", gone),
                          "ERROR_CODE": ("String", "NO_RESOURCE"), "ERROR_MESSAGE": ("String", "The specified queue does not exist."),
                          "RETRY_ATTEMPTS": ("Number", "0")}
    rule({"source": ["test.dead"], "detail-type": ["fails"]},
         [{"Id": "api", "Arn": failing, "RetryPolicy": {"MaximumRetryAttempts": 1, "MaximumEventAgeInSeconds": 3600}, **letters}])
    put(events, {"n": 2}, source="test.dead", detail_type="fails")
    body, attributes = received(server, dead_url)
    assert body["detail"] == {"n": 2}
    values = {key: value for key, (_, value) in attributes.items()}
    assert values["ERROR_CODE"] == "ERROR_FROM_TARGET" and values["RETRY_ATTEMPTS"] == "1"
    assert values["EXHAUSTED_RETRY_CONDITION"] == "MaximumRetryAttempts" and values["TARGET_ARN"] == failing


def test_a_bus_of_its_own_and_a_bus_as_target(server, events, tools, rule, target):
    bus, mark = "bus-" + uuid.uuid4().hex[:8], uuid.uuid4().hex
    arn = events.create_event_bus(Name=bus, Tags=[{"Key": "team", "Value": "a"}])["EventBusArn"]
    rule({"source": ["test.shop"], "detail": {"mark": [mark]}}, [{"Id": "on", "Arn": arn}])
    rule({"detail": {"mark": [mark]}}, [{"Id": "f", "Arn": target}], bus=bus)
    event_id = put(events, {"mark": mark})
    assert seen(server, tools, lambda e: e.get("detail", {}).get("mark") == mark)["id"] == event_id
    assert events.list_tags_for_resource(ResourceARN=arn)["Tags"] == [{"Key": "team", "Value": "a"}]


def advance(server, tools, duration):
    """Moves the time of a server with a test clock."""
    done = subprocess.run([str(tools.binary), "clock", "advance", duration, "--endpoint", server.endpoint], capture_output=True, text=True, timeout=60,
                          env={**server.env, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"})
    assert done.returncode == 0, done.stderr + done.stdout


def test_accepted_events_survive_a_kill(new_server, tools):
    server = new_server({"test_clock": "true"}).start()
    functions, events = server.client(), server.client("events")
    functions.create_function(FunctionName="bus-target", Runtime="python3.11", Handler="app.handler", Role=tools.role,
                              Code={"ZipFile": tools.zip_bytes(FUNCTION)})
    functions.get_waiter("function_active_v2").wait(FunctionName="bus-target", WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    tools.allow_service(server, TARGET, "events")
    events.put_rule(Name="r", EventPattern=json.dumps({"source": ["test.shop"]}))
    events.put_targets(Rule="r", Targets=[{"Id": "f", "Arn": TARGET}])
    for i in range(5):
        events.put_events(Entries=[{"Source": "test.shop", "DetailType": "t", "Detail": json.dumps({"n": 10 * i + k})} for k in range(10)])
    server.kill()
    server.start()
    advance(server, tools, "31s")  # the leases of what was under way run out
    tools.wait_until(lambda: {e["detail"]["n"] for e in lines(server)} == set(range(50)), 60, "every accepted event")
    assert server.stop() == 0


def test_a_schedule_fires_through_a_restart(new_server, tools):
    server = new_server({"test_clock": "true"}).start()
    functions, events = server.client(), server.client("events")
    functions.create_function(FunctionName="bus-target", Runtime="python3.11", Handler="app.handler", Role=tools.role,
                              Code={"ZipFile": tools.zip_bytes(FUNCTION)})
    functions.get_waiter("function_active_v2").wait(FunctionName="bus-target", WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    tools.allow_service(server, TARGET, "events")
    arn = events.put_rule(Name="tick", ScheduleExpression="cron(* * * * ? *)")["RuleArn"]
    events.put_targets(Rule="tick", Targets=[{"Id": "f", "Arn": TARGET}])
    advance(server, tools, "0s")
    server.stop()
    # While nobody is there a minute passes.
    kept = server.data_dir / "data/test-clock"
    kept.write_text(str(int(kept.read_text()) + 60_000_000))
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


class Endpoint(http.server.BaseHTTPRequestHandler):
    """Writes down what it is asked, and answers as it was told."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.seen.append((self.path, dict(self.headers.items()), body.decode()))
        status, answer = 200, b"{}"
        if self.path.startswith("/token"):
            answer = json.dumps({"access_token": "made", "expires_in": 600}).encode()
        elif self.server.failures > 0:
            self.server.failures -= 1
            status = 503
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


@pytest.fixture
def endpoint():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
    server.seen, server.failures = [], 0
    threading.Thread(target=server.serve_forever, daemon=True).start()
    server.url = f"http://127.0.0.1:{server.server_port}"
    yield server
    server.shutdown()


@pytest.fixture
def destination(events):
    made = []

    def make(url, authorization, parameters, **more):
        name = "d-" + uuid.uuid4().hex[:8]
        connection = events.create_connection(Name=name, AuthorizationType=authorization, AuthParameters=parameters)["ConnectionArn"]
        arn = events.create_api_destination(Name=name, ConnectionArn=connection, InvocationEndpoint=url, HttpMethod="POST", **more)["ApiDestinationArn"]
        made.append(name)
        return name, arn

    yield make
    for name in made:
        events.delete_api_destination(Name=name)
        events.delete_connection(Name=name)


def test_an_api_destination_is_called_and_tried_again(events, tools, rule, endpoint, destination):
    mark = uuid.uuid4().hex
    name, arn = destination(endpoint.url + "/hook/*", "API_KEY", {
        "ApiKeyAuthParameters": {"ApiKeyName": "X-Key", "ApiKeyValue": "hush"},
        "InvocationHttpParameters": {"QueryStringParameters": [{"Key": "q", "Value": "1"}], "BodyParameters": [{"Key": "extra", "Value": "e"}]}})
    endpoint.failures = 1
    rule({"detail": {"mark": [mark]}}, [{"Id": "d", "Arn": arn, "HttpParameters": {"PathParameterValues": ["a b"], "HeaderParameters": {"X-More": "m"}}}])
    put(events, {"mark": mark})
    tools.wait_until(lambda: len(endpoint.seen) == 2, 30, "the second try")
    path, headers, body = endpoint.seen[1]
    assert path == "/hook/a%20b?q=1" and headers["X-Key"] == "hush" and headers["X-More"] == "m"
    assert json.loads(body)["detail"] == {"mark": mark} and json.loads(body)["extra"] == "e"
    assert "hush" not in json.dumps(events.describe_connection(Name=name), default=str)


def test_a_connection_has_its_secret(server, events):
    secrets = server.client("secretsmanager")
    basic = lambda password: {"BasicAuthParameters": {"Username": "user", "Password": password}}
    events.create_connection(Name="kept", AuthorizationType="BASIC", AuthParameters=basic("first"))
    arn = events.describe_connection(Name="kept")["SecretArn"]
    value = lambda: json.loads(secrets.get_secret_value(SecretId=arn)["SecretString"])
    assert value() == {"username": "user", "password": "first"}
    assert secrets.describe_secret(SecretId=arn)["OwningService"] == "events"
    events.update_connection(Name="kept", AuthorizationType="BASIC", AuthParameters=basic("second"))
    assert value() == {"username": "user", "password": "second"}
    for call in (lambda: secrets.put_secret_value(SecretId=arn, SecretString="{}"), lambda: secrets.delete_secret(SecretId=arn),
                 lambda: secrets.delete_secret(SecretId=arn, ForceDeleteWithoutRecovery=True)):
        with pytest.raises(secrets.exceptions.InvalidRequestException):
            call()
    events.delete_connection(Name="kept")
    with pytest.raises(secrets.exceptions.ResourceNotFoundException):
        value()


def test_an_oauth_connection_fetches_its_token_once(events, tools, rule, endpoint, destination):
    mark = uuid.uuid4().hex
    name, arn = destination(endpoint.url + "/x", "OAUTH_CLIENT_CREDENTIALS", {"OAuthParameters": {
        "AuthorizationEndpoint": endpoint.url + "/token", "HttpMethod": "POST", "ClientParameters": {"ClientID": "id", "ClientSecret": "s&cret"}}})
    rule({"detail": {"mark": [mark]}}, [{"Id": "d", "Arn": arn}])
    for n in range(3):
        put(events, {"mark": mark, "n": n})
        tools.wait_until(lambda: len([s for s in endpoint.seen if s[0] == "/x"]) == n + 1, 30, "the call")
    tokens = [s for s in endpoint.seen if s[0] == "/token"]
    assert len(tokens) == 1 and "client_secret=s%26cret" in tokens[0][2]
    assert all(s[1]["Authorization"] == "Bearer made" for s in endpoint.seen if s[0] == "/x")
    assert events.describe_connection(Name=name)["ConnectionState"] == "AUTHORIZED"


def signed(server, method, path, body=b"", headers=None):
    """A call of Mayfly's own API, signed as every call is."""
    import botocore.auth
    import botocore.awsrequest
    import botocore.credentials
    import urllib.request
    request = botocore.awsrequest.AWSRequest(method=method, url=server.endpoint + path, data=body, headers=headers or {})
    botocore.auth.SigV4Auth(botocore.credentials.Credentials("test", "test"), "mayfly", "us-east-1").add_auth(request)
    return urllib.request.urlopen(urllib.request.Request(request.url, data=body or None, headers=dict(request.headers.items()), method=method), timeout=30)


def test_cloud_events_come_in_and_go_out(server, events, tools, rule, endpoint, destination):
    mark = uuid.uuid4().hex
    _, arn = destination(endpoint.url + "/x", "BASIC", {"BasicAuthParameters": {"Username": "u", "Password": "p"}})
    rule({"cloudevents": {"tenant": [mark]}}, [
        {"Id": "s", "Arn": arn, "HttpParameters": {"HeaderParameters": {"Content-Type": "application/cloudevents+json"}}},
        {"Id": "b", "Arn": arn, "HttpParameters": {"HeaderParameters": {"ce-specversion": "1.0"}}}])
    answer = signed(server, "POST", "/_mayfly/events/cloudevents?bus=default", b'{"n": 1}', {
        "Content-Type": "application/json", "ce-specversion": "1.0", "ce-id": "e-1", "ce-source": "/shop", "ce-type": "order.placed", "ce-tenant": mark})
    assert json.load(answer) == {"Accepted": 1}
    tools.wait_until(lambda: len(endpoint.seen) == 2, 30, "both calls")
    binary = next(s for s in endpoint.seen if "ce-id" in {k.lower() for k in s[1]})
    structured = next(s for s in endpoint.seen if s is not binary)
    assert json.loads(structured[2])["id"] == "e-1" and json.loads(structured[2])["data"] == {"n": 1} and json.loads(structured[2])["tenant"] == mark
    assert json.loads(binary[2]) == {"n": 1}
    with pytest.raises(Exception, match="400"):
        signed(server, "POST", "/_mayfly/events/cloudevents", b"{}", {"Content-Type": "application/cloudevents+json"})


def test_the_command_line_follows_and_replays(server, events, tools, rule, target):
    import subprocess
    bus, mark = "bus-" + uuid.uuid4().hex[:8], uuid.uuid4().hex
    arn = events.create_event_bus(Name=bus)["EventBusArn"]
    events.create_archive(ArchiveName="a-" + mark[:8], EventSourceArn=arn)
    name = rule({"detail": {"mark": [mark]}}, [{"Id": "f", "Arn": target}], bus=bus)
    cli = [str(tools.binary), "--json", "events"]
    tail = subprocess.Popen([*cli, "tail", "--bus", bus, "--pattern", json.dumps({"detail": {"mark": [mark]}}), "--endpoint", server.endpoint],
                            env={**server.env, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}, stdout=subprocess.PIPE, text=True)
    try:
        lines_seen = []
        threading.Thread(target=lambda: lines_seen.extend(iter(tail.stdout.readline, "")), daemon=True).start()

        def again():
            put(events, {"mark": "other"}, EventBusName=bus)
            put(events, {"mark": mark}, EventBusName=bus)
            return lines_seen

        tools.wait_until(again, 20, "a followed event")
    finally:
        tail.terminate()
        tail.wait(10)
    assert json.loads(lines_seen[0])["event"]["detail"] == {"mark": mark} and json.loads(lines_seen[0])["rules"] == [name]
    done = subprocess.run([*cli, "replay", "a-" + mark[:8], "--from", "5m", "--rule", name, "--endpoint", server.endpoint],
                          env={**server.env, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["State"] == "COMPLETED"
    tools.wait_until(lambda: any(e.get("replay-name") for e in lines(server) if e.get("detail", {}).get("mark") == mark), 20, "the replayed event")
