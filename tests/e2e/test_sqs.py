"""Queues with ordinary clients of both protocols, the command line's queues, and what a kill leaves."""

import concurrent.futures
import hashlib
import json
import os
import pathlib
import socket
import struct
import subprocess
import sys
import threading
import time

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import botocore.exceptions
import pytest

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parents[1]
ACCOUNT = "000000000000"


@pytest.fixture(scope="module")
def sqs(server):
    return server.client("sqs")


def arn(name):
    return f"arn:aws:sqs:us-east-1:{ACCOUNT}:{name}"


def redrive(name, receives):
    return json.dumps({"deadLetterTargetArn": arn(name), "maxReceiveCount": receives})


def attributes_md5(attributes):
    """AWS's documented form, written again here."""
    def sized(data):
        return struct.pack(">I", len(data)) + data
    out = b""
    for name in sorted(attributes):
        value = attributes[name]
        out += sized(name.encode()) + sized(value["DataType"].encode())
        out += b"\2" + sized(value["BinaryValue"]) if "BinaryValue" in value else b"\1" + sized(value["StringValue"].encode())
    return hashlib.md5(out).hexdigest()


@pytest.mark.main
def test_a_client_of_today(sqs, server):
    url = sqs.create_queue(QueueName="jobs", Attributes={"VisibilityTimeout": "30"}, tags={"a": "b"})["QueueUrl"]
    assert url == f"{server.endpoint}/{ACCOUNT}/jobs"
    attributes = {"s": {"DataType": "String", "StringValue": "grün"}, "n": {"DataType": "Number.int", "StringValue": "7"},
                  "b": {"DataType": "Binary", "BinaryValue": b"\x00\xff"}}
    sent = sqs.send_message(QueueUrl=url, MessageBody="hello", MessageAttributes=attributes)
    assert sent["MD5OfMessageAttributes"] == attributes_md5(attributes)
    message = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=5, MessageAttributeNames=["All"], AttributeNames=["All"])["Messages"][0]
    assert message["MessageAttributes"] == attributes and message["MessageId"] == sent["MessageId"]
    some = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert some["ApproximateNumberOfMessagesNotVisible"] == "1" and some["QueueArn"] == arn("jobs")
    sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    with pytest.raises(sqs.exceptions.QueueDoesNotExist) as missing:
        sqs.get_queue_url(QueueName="none")
    assert missing.value.response["Error"] == {"Code": "AWS.SimpleQueueService.NonExistentQueue", "QueryErrorCode": "QueueDoesNotExist",
                                               "Message": "The specified queue does not exist.", "Type": "Sender"}
    with pytest.raises(botocore.exceptions.ClientError) as refused:
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"KmsMasterKeyId": "alias/key"})
    assert "KmsMasterKeyId" in str(refused.value)
    with pytest.raises(botocore.exceptions.ClientError) as refused:
        sqs.send_message(QueueUrl=url, MessageBody="x", DelaySeconds=901)
    assert refused.value.response["Error"]["Code"] == "InvalidParameterValue"
    sqs.delete_queue(QueueUrl=url)


def test_a_client_of_the_query_protocol(server):
    old = ROOT / ".venv/old-sdk"
    if not old.is_dir():
        pytest.skip("the SDK of 2023 is not installed: make setup")
    done = subprocess.run([sys.executable, str(HERE / "old_sdk/sqs_client.py"), server.endpoint], capture_output=True, text=True,
                          timeout=60, env={**os.environ, "PYTHONPATH": str(old)})
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen["url"] == f"{server.endpoint}/{ACCOUNT}/old" and seen["listed"] == [seen["url"]]
    assert seen["tags"] == {"team": "a&b"} and seen["timeout"] == "20" and seen["body"] == "<a>&\r\n"
    assert seen["attributes"] == {"s": "grün", "b": "00ff"} and seen["receive_count"] == "1"
    assert seen["md5"] == attributes_md5({"s": {"DataType": "String", "StringValue": "grün"}, "b": {"DataType": "Binary", "BinaryValue": b"\x00\xff"}})
    assert seen["batch"] == [["one"], [["two", "InvalidParameterValue", True]]]
    assert seen["changed"] == 2 and seen["deleted"] == 2 and not seen["empty"]
    text = "The specified queue does not exist for this wsdl version."
    assert seen["missing"] == ["AWS.SimpleQueueService.NonExistentQueue", text, 400] == seen["gone"]
    assert seen["conflict"][0] == "QueueAlreadyExists" and seen["handle"][0] == "ReceiptHandleIsInvalid"


def test_the_aws_command_line(server, tmp_path):
    # Version 1 of the command line goes to queue.amazonaws.com without --endpoint-url, whatever AWS_ENDPOINT_URL says.
    env = {**os.environ, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
           "AWS_DEFAULT_REGION": "us-east-1", "AWS_PAGER": "", "HOME": str(tmp_path)}

    def aws(*arguments, code=0):
        done = subprocess.run([str(ROOT / ".venv/bin/aws"), "sqs", *arguments, "--endpoint-url", server.endpoint], env=env, cwd=tmp_path, capture_output=True, text=True, timeout=60)
        assert (done.returncode == 0) == (code == 0), done.stderr
        return done.stderr if code != 0 else json.loads(done.stdout or "null")

    url = aws("create-queue", "--queue-name", "cli")["QueueUrl"]
    aws("send-message", "--queue-url", url, "--message-body", "hi", "--message-attributes", '{"k":{"DataType":"String","StringValue":"v"}}')
    message = aws("receive-message", "--queue-url", url, "--message-attribute-names", "All", "--attribute-names", "All")["Messages"][0]
    assert message["Body"] == "hi" and message["MessageAttributes"]["k"]["StringValue"] == "v"
    aws("delete-message", "--queue-url", url, "--receipt-handle", message["ReceiptHandle"])
    aws("purge-queue", "--queue-url", url)
    assert "Only one PurgeQueue operation on cli is allowed every 60 seconds." in aws("purge-queue", "--queue-url", url, code=None)
    aws("delete-queue", "--queue-url", url)


def test_the_sdk_for_javascript(server):
    done = subprocess.run(["node", str(HERE / "js/sqs.mjs"), server.endpoint], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen["deduplicated"] and seen["sequence"] == 20 and seen["sent"] == 3
    assert seen["bodies"] == ["grüße", "m1", "m2", "m3"] and seen["binary"] == [0, 255] and seen["group"] == "g"
    assert seen["deleted"] == 4 and len(seen["pages"]) == 1
    assert seen["missing"] == ["QueueDoesNotExist", "The specified queue does not exist.", 400]


@pytest.mark.main
def test_long_polls_wake_at_once_and_end_with_the_server(new_server, tools):
    server = new_server().start()
    sqs = server.client("sqs")
    url = sqs.create_queue(QueueName="polled")["QueueUrl"]
    with concurrent.futures.ThreadPoolExecutor(9) as pool:
        polls = [pool.submit(sqs.receive_message, QueueUrl=url, WaitTimeSeconds=20) for _ in range(8)]
        sqs.send_message_batch(QueueUrl=url, Entries=[{"Id": str(i), "MessageBody": str(i)} for i in range(8)])
        begun = time.monotonic()
        bodies = sorted(poll.result(15)["Messages"][0]["Body"] for poll in polls)
        assert bodies == [str(i) for i in range(8)] and time.monotonic() - begun < 10
        waiting = pool.submit(sqs.receive_message, QueueUrl=url, WaitTimeSeconds=20)
        tools.wait_until(lambda: waiting.running(), what="the poll")
        begun = time.monotonic()
        assert server.stop() == 0 and time.monotonic() - begun < 10
        try:
            assert "Messages" not in waiting.result(10)
        except botocore.exceptions.BotoCoreError:
            pass  # The server went before it saw the request.


def abandon_a_long_poll(server, url):
    """Asks for a message, waits for none, and goes."""
    body = json.dumps({"QueueUrl": url, "WaitTimeSeconds": 20, "VisibilityTimeout": 600})
    request = botocore.awsrequest.AWSRequest(method="POST", url=server.endpoint + "/", data=body, headers={
        "Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": "AmazonSQS.ReceiveMessage"})
    botocore.auth.SigV4Auth(botocore.credentials.Credentials("test", "test"), "sqs", "us-east-1").add_auth(request)
    head = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(f"POST / HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nContent-Length: {len(body)}\r\n{head}\r\n{body}".encode())
        connection.settimeout(0.3)
        with pytest.raises(TimeoutError):
            connection.recv(1)


def test_what_comes_for_a_client_that_has_gone_is_there_for_the_next_one(sqs, server):
    url = sqs.create_queue(QueueName="abandoned")["QueueUrl"]
    for _ in range(3):
        abandon_a_long_poll(server, url)
    sqs.send_message(QueueUrl=url, MessageBody="not lost")
    began = time.monotonic()
    [message] = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=10)["Messages"]
    assert message["Body"] == "not lost" and time.monotonic() - began < 5


def test_dead_letters_and_their_way_back(sqs, tools):
    dead = sqs.create_queue(QueueName="dead")["QueueUrl"]
    url = sqs.create_queue(QueueName="work", Attributes={"RedrivePolicy": redrive("dead", 1)})["QueueUrl"]
    ids = {sqs.send_message(QueueUrl=url, MessageBody=f"m{i}")["MessageId"] for i in range(5)}
    while sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=0).get("Messages"):
        pass

    def count(queue):
        return sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["ApproximateNumberOfMessages"])["Attributes"]["ApproximateNumberOfMessages"]

    tools.wait_until(lambda: count(dead) == "5", what="all messages are dead letters")
    letters = sqs.receive_message(QueueUrl=dead, MaxNumberOfMessages=10, VisibilityTimeout=0, AttributeNames=["All"])["Messages"]
    assert {m["MessageId"] for m in letters} == ids
    assert {m["Attributes"]["DeadLetterQueueSourceArn"] for m in letters} == {arn("work")}
    assert sqs.list_dead_letter_source_queues(QueueUrl=dead)["queueUrls"] == [url]
    sqs.start_message_move_task(SourceArn=arn("dead"))
    tools.wait_until(lambda: count(url) == "5" and count(dead) == "0", what="the move")
    tools.wait_until(lambda: sqs.list_message_move_tasks(SourceArn=arn("dead"))["Results"][0]["Status"] == "COMPLETED", what="its end")


def test_the_command_line_looks_without_changing_and_redrives(server, sqs, tools):
    environment = {"PATH": os.environ["PATH"], "HOME": str(server.data_dir), "MAYFLY_ROOT_ACCESS_KEY_ID": "test",
                   "MAYFLY_ROOT_SECRET_ACCESS_KEY": "test"}

    def mayfly(*arguments, code=0, stdin=None):
        done = subprocess.run([str(tools.binary), *arguments, "--data", str(server.data_dir / "data")], env=environment, input=stdin,
                              capture_output=True, text=True, timeout=60)
        assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
        return done.stdout

    sqs.create_queue(QueueName="c-dead")
    url = sqs.create_queue(QueueName="c-work", Attributes={"RedrivePolicy": redrive("c-dead", 1)})["QueueUrl"]
    assert "sent " in mayfly("queue", "send", "c-work", "red apple", "--attribute", "kind=fruit")
    mayfly("queue", "send", "c-work", "-", "--delay", "0", stdin="red car")
    peeked = json.loads(mayfly("queue", "peek", "c-work", "--json"))
    assert [m["Body"] for m in peeked] == ["red apple", "red car"] and peeked[0]["State"] == "visible" and peeked[0]["ReceiveCount"] == 0
    assert [m["Body"] for m in json.loads(mayfly("queue", "peek", "c-work", "--json"))] == ["red apple", "red car"]
    assert "red apple" in mayfly("queue", "peek", "c-work", "--filter", "apple")
    row = next(line for line in mayfly("queue", "ls").splitlines() if line.startswith("c-work"))
    assert row.split()[1:4] == ["2", "0", "0"] and row.endswith("c-dead")
    while sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=0).get("Messages"):
        pass
    assert "c-dead" in mayfly("dlq", "ls") and "c-work" in mayfly("dlq", "ls")
    assert [q["Name"] for q in json.loads(mayfly("dlq", "ls", "--json")) if q["Name"].startswith("c-")] == ["c-dead"]
    shown = mayfly("dlq", "show", "c-dead")
    assert "DeadLetterQueueSourceArn: " + arn("c-work") in shown and "kind = fruit" in shown
    planned = mayfly("dlq", "redrive", "c-dead", "--attribute", "kind=fruit", "--dry-run")
    assert "1 messages would be moved" in planned and "c-work" in planned and "red apple" in planned
    assert len(json.loads(mayfly("dlq", "show", "c-dead", "--json"))) == 2
    assert json.loads(mayfly("dlq", "redrive", "c-dead", "--attribute", "kind=fruit", "--json")) == {"Moved": 1}
    assert [m["Body"] for m in json.loads(mayfly("queue", "peek", "c-work", "--json"))] == ["red apple"]
    assert "moved 1 messages" in mayfly("dlq", "redrive", "c-dead", "--to", "c-work")
    mayfly("queue", "purge", "c-work", "--yes")
    assert json.loads(mayfly("queue", "peek", "c-work", "--json")) == []
    mayfly("queue", "peek", "none", code=1)
    mayfly("queue", "send", "c-work", "x", "--delay", "901", code=1)
    assert "peek" in mayfly("queue", "--help") and "redrive" in mayfly("dlq", "--help")
    assert "queue|dlq" in subprocess.run([str(tools.binary), "completion", "bash"], capture_output=True, text=True, check=True).stdout


@pytest.mark.main
def test_nothing_acknowledged_is_lost_by_kill(new_server, tools):
    """Sent and not deleted is there, deleted is gone for good, whatever moment the server is killed at."""
    server = new_server().start()
    server.client("sqs").create_queue(QueueName="kept", Attributes={"VisibilityTimeout": "0"})
    sent, deleted, trying = {}, set(), set()
    lock = threading.Lock()
    for round_number in range(3):
        client = server.client("sqs")
        url = client.get_queue_url(QueueName="kept")["QueueUrl"]
        dead = threading.Event()

        def write(worker):
            n = 0
            while not dead.is_set():
                try:
                    entries = [{"Id": str(i), "MessageBody": f"{round_number}-{worker}-{n}-{i}"} for i in range(5)]
                    answer = client.send_message_batch(QueueUrl=url, Entries=entries)
                    with lock:
                        sent.update({e["MessageId"]: entries[int(e["Id"])]["MessageBody"] for e in answer["Successful"]})
                    for message in client.receive_message(QueueUrl=url, MaxNumberOfMessages=2, VisibilityTimeout=5).get("Messages", []):
                        with lock:
                            trying.add(message["MessageId"])
                        client.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
                        with lock:
                            deleted.add(message["MessageId"])
                except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError):
                    return  # Killed under this call: not acknowledged.
                n += 1

        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            workers = [pool.submit(write, w) for w in range(4)]
            tools.wait_until(lambda: len(sent) >= 100 * (round_number + 1), what="messages")
            server.kill()
            dead.set()
            concurrent.futures.wait(workers)
        server.start()
    client = server.client("sqs")
    url = client.get_queue_url(QueueName="kept")["QueueUrl"]
    found = {}
    tools.wait_until(lambda: not _drain(client, url, found), 60, "the queue is empty")
    assert not deleted & set(found), "deleted messages came back"
    missing = set(sent) - deleted - trying - set(found)
    assert not missing
    assert all(found[i] == sent[i] for i in set(found) & set(sent))


def _drain(client, url, found):
    messages = client.receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=60).get("Messages", [])
    for message in messages:
        found[message["MessageId"]] = message["Body"]
    if messages:
        client.delete_message_batch(QueueUrl=url, Entries=[{"Id": m["MessageId"], "ReceiptHandle": m["ReceiptHandle"]} for m in messages])
        return True
    counts = client.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    return any(counts[f"ApproximateNumberOfMessages{kind}"] != "0" for kind in ("", "NotVisible"))
