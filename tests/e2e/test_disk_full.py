"""A disk that is full: new work is refused with an error that clients retry, nothing accepted is lost, and it recovers by itself."""

import json
import os
import subprocess

import botocore.exceptions
import pytest

from conftest import Server

POLICY = json.dumps({"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Principal": {"Service": ["events.amazonaws.com", "sns.amazonaws.com"]}, "Action": "sqs:SendMessage", "Resource": "*"}]})


@pytest.fixture
def small_disk(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = os.geteuid() == 0 and subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "none", str(folder)], capture_output=True).returncode == 0
    if not mounted:
        pytest.skip("needs to mount a small disk")
    server = Server(folder)
    yield server
    try:
        if server.process and server.process.poll() is None:
            assert server.stop() == 0
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def queue(sqs, name):
    url = sqs.create_queue(QueueName=name, Attributes={"Policy": POLICY})["QueueUrl"]
    return url, sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]


def fill(folder):
    with open(folder / "ballast", "wb", buffering=0) as ballast:
        try:
            while True:
                ballast.write(b"x" * 4096)
        except OSError:
            return


def test_a_full_disk_refuses_new_work_loses_nothing_and_recovers(small_disk, tools):
    server = small_disk.start()
    sqs, events, sns, functions = (server.client(name) for name in ("sqs", "events", "sns", "lambda"))
    urls = {}
    urls["queue"], _ = queue(sqs, "plain")
    urls["rule"], target = queue(sqs, "target")
    urls["topic"], subscriber = queue(sqs, "subscriber")
    events.put_rule(Name="r", EventPattern='{"source": ["full"]}')
    events.put_targets(Rule="r", Targets=[{"Id": "q", "Arn": target}])
    topic = sns.create_topic(Name="topic")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=subscriber, Attributes={"RawMessageDelivery": "true"})
    functions.create_function(FunctionName="f", Runtime="python3.11", Handler="app.handler", Role=tools.role,
                              Code={"ZipFile": tools.zip_bytes({"app.py": "def handler(e, c):\n    print('RAN', e['n'])\n"})})
    functions.get_waiter("function_active_v2").wait(FunctionName="f", WaiterConfig={"Delay": 1})
    functions.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=0)
    accepted, refused = {"queue": [], "rule": [], "topic": [], "function": []}, []

    def put_event(text):
        answer = events.put_events(Entries=[{"Source": "full", "DetailType": "t", "Detail": json.dumps({"text": text})}])
        assert answer["FailedEntryCount"] == 0

    def give(text):
        for kind, call in {"queue": lambda: sqs.send_message(QueueUrl=urls["queue"], MessageBody=text), "rule": lambda: put_event(text),
                           "topic": lambda: sns.publish(TopicArn=topic, Message=text),
                           "function": lambda: functions.invoke(FunctionName="f", InvocationType="Event", Payload=json.dumps({"n": text}))}.items():
            try:
                call()
                accepted[kind].append(text)
            except botocore.exceptions.ClientError as error:
                assert error.response["ResponseMetadata"]["HTTPStatusCode"] >= 500, error.response  # what every SDK tries again
                refused.append(kind)

    for n in range(5):
        give(f"before {n}")
    assert not refused
    fill(server.data_dir)
    for n in range(5):
        give(f"full {n} " + "x" * 4096)
    assert set(refused) == set(accepted), "each kind of work is refused at some time"
    assert sqs.list_queues()["QueueUrls"] and functions.list_functions()["Functions"], "what needs no disk goes on"
    (server.data_dir / "ballast").unlink()
    refused.clear()
    give("after")
    assert not refused, "it recovers by itself"
    functions.delete_function_concurrency(FunctionName="f")
    got = {kind: [] for kind in urls}

    def receive(kind):
        for message in sqs.receive_message(QueueUrl=urls[kind], MaxNumberOfMessages=10, WaitTimeSeconds=1).get("Messages", []):
            got[kind].append(message["Body"] if kind != "rule" else json.loads(message["Body"])["detail"]["text"])
        return set(got[kind]) >= set(accepted[kind])

    for kind in urls:
        tools.wait_until(lambda kind=kind: receive(kind), 30, f"everything accepted by the {kind}")
        assert set(got[kind]) == set(accepted[kind]), "nothing that was refused"
    logs = lambda: "".join(p.read_text() for p in (server.data_dir / "data/logs/%2Faws%2Flambda%2Ff").glob("*.log"))
    tools.wait_until(lambda: all(f"RAN {text}" in logs() for text in accepted["function"]), 60, "every accepted invocation")
