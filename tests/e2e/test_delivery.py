"""What delivery promises whatever an event comes from: targets that are deleted while events wait, and time that is moved."""

import datetime
import json
import subprocess



def cli(server, tools, *arguments):
    done = subprocess.run([str(tools.binary), *arguments, "--json", "--endpoint", server.endpoint], capture_output=True, text=True, timeout=60,
                          env={**server.env, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"})
    assert done.returncode == 0, done.stderr + done.stdout
    return json.loads(done.stdout)


def queue(server, name):
    sqs = server.client("sqs")
    policy = {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": "*"}]}
    url = sqs.create_queue(QueueName=name, Attributes={"Policy": json.dumps(policy)})["QueueUrl"]
    return url, sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]


def counts(server, url):
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed"]
    attributes = server.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    return tuple(int(attributes[name]) for name in names)


def function(server, tools, name, code, **settings):
    client = server.client()
    client.create_function(FunctionName=name, Runtime="python3.11", Handler="app.handler", Role=tools.role,
                           Code={"ZipFile": tools.zip_bytes({"app.py": code})}, **settings)
    client.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1})
    return f"arn:aws:lambda:us-east-1:000000000000:function:{name}"


def test_events_of_a_deleted_function_go_to_its_dead_letters_or_are_kept_and_shown(new_server, tools):
    server = new_server().start()
    client, events, sqs = server.client(), server.client("events"), server.client("sqs")
    dead_url, dead = queue(server, "letters")
    functions = {"mourned": {"DeadLetterConfig": {"TargetArn": dead}}, "forgotten": {}}
    for name, settings in functions.items():
        arn = function(server, tools, name, "def handler(e, c):\n    return 1\n", **settings)
        client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)  # so that events wait
        tools.allow_service(server, arn, "events")
        events.put_rule(Name=name, EventPattern=json.dumps({"source": [name]}))
        events.put_targets(Rule=name, Targets=[{"Id": "f", "Arn": arn}])
        events.put_events(Entries=[{"Source": name, "DetailType": "t", "Detail": "{}"}])
    lanes = lambda: {lane["Target"].rsplit(":", 1)[1]: lane for lane in cli(server, tools, "deliveries")["Lanes"]}
    tools.wait_until(lambda: all(name in lanes() and lanes()[name]["ThrottledAttempts"] for name in functions))
    for name in functions:
        client.delete_function(FunctionName=name)
    letters = []
    tools.wait_until(lambda: letters.extend(sqs.receive_message(QueueUrl=dead_url, WaitTimeSeconds=2, MessageAttributeNames=["All"]).get(
        "Messages", [])) or letters, 60)
    assert json.loads(letters[0]["Body"])["source"] == "mourned"
    assert letters[0]["MessageAttributes"]["ErrorCode"]["StringValue"] == "404"
    tools.wait_until(lambda: lanes()["forgotten"]["LastErrorCode"] == "ResourceNotFoundException", 60)
    # Still there after a kill, and run when there is a function of the name again.
    server.kill()
    server.start()
    lane = lanes()["forgotten"]
    waiting = cli(server, tools, "deliveries", lane["Target"], "--via", lane["Via"])["Events"]
    assert len(waiting) == 1 and waiting[0]["LastErrorCode"] == "ResourceNotFoundException"


def test_rules_retries_and_queues_follow_a_clock_that_is_moved(new_server, tools):
    server = new_server({"test_clock": "true"}).start()
    client, events, sqs = server.client(), server.client("events"), server.client("sqs")
    advance = lambda time: cli(server, tools, "clock", "advance", time)
    url, arn = queue(server, "jobs")
    sqs.send_message(QueueUrl=url, MessageBody="late", DelaySeconds=600)
    assert counts(server, url) == (0, 0, 1)
    advance("10m")
    receive = lambda: [m["Body"] for m in sqs.receive_message(QueueUrl=url, VisibilityTimeout=300).get("Messages", [])]
    assert receive() == ["late"] and receive() == []
    advance("5m")
    assert receive() == ["late"]
    # A function's events: after one minute and after two, then its dead letters.
    dead_url, dead = queue(server, "letters")
    function(server, tools, "fails", "def handler(e, c):\n    raise Exception('no')\n", DeadLetterConfig={"TargetArn": dead})
    client.invoke(FunctionName="fails", InvocationType="Event", Payload=b"{}")
    advance("2m59s")
    assert counts(server, dead_url) == (0, 0, 0)
    advance("1s")
    assert counts(server, dead_url) == (1, 0, 0)
    # A rule: each of a day's hours, and the events of one of them again.
    fired_url, fired = queue(server, "fired")
    events.create_archive(ArchiveName="all", EventSourceArn="arn:aws:events:us-east-1:000000000000:event-bus/default")
    events.put_rule(Name="hourly", ScheduleExpression="rate(1 hour)")
    events.put_targets(Rule="hourly", Targets=[{"Id": "q", "Arn": fired}])
    advance("24h")
    assert counts(server, fired_url) == (24, 0, 0)
    again_url, again = queue(server, "again")
    events.put_rule(Name="again", EventPattern='{"source": ["shop"]}')
    now = datetime.datetime.fromtimestamp(cli(server, tools, "clock", "show")["epoch_seconds"], datetime.timezone.utc)
    events.put_events(Entries=[{"Source": "shop", "DetailType": "t", "Detail": "{}"}])
    events.put_targets(Rule="again", Targets=[{"Id": "q", "Arn": again}])
    advance("1m")
    events.start_replay(ReplayName="r", EventSourceArn=events.describe_archive(ArchiveName="all")["ArchiveArn"],
                        Destination={"Arn": "arn:aws:events:us-east-1:000000000000:event-bus/default"},
                        EventStartTime=now - datetime.timedelta(minutes=1), EventEndTime=now + datetime.timedelta(seconds=30))
    advance("1s")
    assert events.describe_replay(ReplayName="r")["State"] == "COMPLETED" and counts(server, again_url) == (1, 0, 0)
