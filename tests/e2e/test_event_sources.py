"""Event source mappings from SQS queues: batches, partial responses, filters, and messages that wait while the server is killed."""

import json

import pytest

pytestmark = pytest.mark.main

COLLECT = {"app.py": """
import json
def handler(event, context):
    bad = []
    for record in event['Records']:
        print('record', json.dumps(record))
        if 'bad' in record['body']: bad.append({'itemIdentifier': record['messageId']})
    return {'batchItemFailures': bad}
"""}


def make(server, tools, name, **settings):
    client, queues = server.client(), server.client("sqs")
    client.create_function(FunctionName=name, Runtime="python3.11", Handler="app.handler", Role=tools.role, Timeout=2,
                           Code={"ZipFile": tools.zip_bytes(COLLECT)})
    client.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1})
    url = queues.create_queue(QueueName=name, Attributes={"VisibilityTimeout": "2"})["QueueUrl"]
    arn = queues.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    mapping = client.create_event_source_mapping(FunctionName=name, EventSourceArn=arn, **settings)
    assert mapping["State"] == "Creating"
    return client, queues, url, mapping["UUID"]


def records(server, name, tools):
    from test_async import log_lines
    return [json.loads(line.split("record ", 1)[1]) for line in log_lines(server, name, tools) if line.startswith("record ")]


def waiting(queues, url):
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    return sum(int(n) for n in queues.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"].values())


def test_messages_are_given_as_documented_and_deleted(server, tools):
    client, queues, url, _ = make(server, tools, "documented")
    sent = queues.send_message(QueueUrl=url, MessageBody="hello", MessageAttributes={"n": {"DataType": "Number", "StringValue": "6"}})
    tools.wait_until(lambda: records(server, "documented", tools))
    record = records(server, "documented", tools)[0]
    assert record["messageId"] == sent["MessageId"] and record["body"] == "hello" and record["md5OfBody"] == sent["MD5OfMessageBody"]
    assert record["messageAttributes"] == {"n": {"stringValue": "6", "stringListValues": [], "binaryListValues": [], "dataType": "Number"}}
    assert record["eventSource"] == "aws:sqs" and record["eventSourceARN"].endswith(":documented") and record["awsRegion"] == "us-east-1"
    assert record["attributes"]["ApproximateReceiveCount"] == "1"
    tools.wait_until(lambda: waiting(queues, url) == 0)


def test_only_what_failed_comes_again(server, tools):
    client, queues, url, uuid = make(server, tools, "partial", FunctionResponseTypes=["ReportBatchItemFailures"])
    queues.send_message_batch(QueueUrl=url, Entries=[{"Id": str(n), "MessageBody": "bad" if n == 1 else f"good {n}"} for n in range(5)])
    seen = lambda: [r["body"] for r in records(server, "partial", tools)]
    tools.wait_until(lambda: seen().count("bad") >= 2)
    assert sorted(body for body in seen() if body != "bad") == [f"good {n}" for n in (0, 2, 3, 4)]
    client.delete_event_source_mapping(UUID=uuid)


def test_what_no_filter_wants_is_deleted(server, tools):
    pattern = json.dumps({"body": {"kind": ["wanted"]}})
    client, queues, url, _ = make(server, tools, "filters", FilterCriteria={"Filters": [{"Pattern": pattern}]})
    for kind in ("other", "wanted"):
        queues.send_message(QueueUrl=url, MessageBody=json.dumps({"kind": kind}))
    tools.wait_until(lambda: waiting(queues, url) == 0)
    tools.wait_until(lambda: records(server, "filters", tools))
    assert [json.loads(r["body"])["kind"] for r in records(server, "filters", tools)] == ["wanted"]


def test_messages_that_wait_at_a_kill_are_processed(new_server, tools):
    server = new_server().start()
    client, queues, url, uuid = make(server, tools, "killed")
    client.update_event_source_mapping(UUID=uuid, Enabled=False)
    tools.wait_until(lambda: client.get_event_source_mapping(UUID=uuid)["State"] == "Disabled")
    sent = {queues.send_message(QueueUrl=url, MessageBody=str(n))["MessageId"] for n in range(20)}
    client.update_event_source_mapping(UUID=uuid, Enabled=True)
    server.kill()
    server.start()
    tools.wait_until(lambda: {r["messageId"] for r in records(server, "killed", tools)} >= sent, seconds=60)
