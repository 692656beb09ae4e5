"""Topics, subscriptions and what subscribers get, as boto3 uses them: HTTP endpoints, functions, queues, rules."""

import base64
import http.server
import json
import queue
import threading
import urllib.request
import uuid

import botocore.exceptions
import pytest


@pytest.fixture(scope="module")
def sns(server):
    return server.client("sns")


@pytest.fixture(scope="module")
def sqs(server):
    client = server.client("sqs")
    try:
        client.list_queues()
    except botocore.exceptions.ClientError as error:
        if error.response["Error"]["Code"] == "NotImplemented":
            pytest.skip("SKIPPED: this server has no queues")
        raise
    return client


@pytest.fixture
def topic(sns):
    made = []

    def make(fifo=False, **attributes):
        name = "topic-" + uuid.uuid4().hex[:8] + (".fifo" if fifo else "")
        if fifo:
            attributes["FifoTopic"] = "true"
        made.append(sns.create_topic(Name=name, Attributes=attributes)["TopicArn"])
        return made[-1]

    yield make
    for arn in made:
        sns.delete_topic(TopicArn=arn)


class Endpoint:
    """An HTTP server that keeps what it got and answers as it is told."""

    def __init__(self):
        self.got = queue.Queue()
        self.answers = queue.Queue()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                outer.got.put((dict(self.headers.items()), body, self.path))
                self.send_response(200 if outer.answers.empty() else outer.answers.get())
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/hook?x=1"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def next(self, seconds=20):
        return self.got.get(timeout=seconds)


@pytest.fixture
def endpoint():
    made = Endpoint()
    yield made
    made.server.shutdown()
    made.server.server_close()


def confirmed(sns, arn, endpoint, **attributes):
    """Subscribes an endpoint and follows the link that it is sent."""
    answer = sns.subscribe(TopicArn=arn, Protocol="http", Endpoint=endpoint.url, Attributes=attributes, ReturnSubscriptionArn=True)
    headers, body, path = endpoint.next()
    assert headers["x-amz-sns-message-type"] == "SubscriptionConfirmation" and path == "/hook?x=1"
    asked = json.loads(body)
    assert asked["TopicArn"] == arn
    text = urllib.request.urlopen(asked["SubscribeURL"]).read().decode()
    assert answer["SubscriptionArn"] in text
    return answer["SubscriptionArn"]


def test_an_endpoint_confirms_and_then_gets_signed_notifications(sns, topic, endpoint):
    arn = topic()
    assert sns.subscribe(TopicArn=arn, Protocol="http", Endpoint=endpoint.url)["SubscriptionArn"] == "pending confirmation"
    endpoint.next()
    subscription = confirmed(sns, arn, endpoint)
    message_id = sns.publish(TopicArn=arn, Message="hello", Subject="greeting",
                             MessageAttributes={"n": {"DataType": "Number", "StringValue": "1"}})["MessageId"]
    headers, body, _ = endpoint.next()
    assert headers["x-amz-sns-message-type"] == "Notification"
    assert headers["x-amz-sns-message-id"] == message_id and headers["x-amz-sns-subscription-arn"] == subscription
    notification = json.loads(body)
    assert (notification["Message"], notification["Subject"]) == ("hello", "greeting")
    assert notification["MessageAttributes"] == {"n": {"Type": "Number", "Value": "1"}}
    assert len(base64.b64decode(notification["Signature"])) == 256
    assert b"BEGIN CERTIFICATE" in urllib.request.urlopen(notification["SigningCertURL"]).read()
    # The link to unsubscribe needs no signature either.
    urllib.request.urlopen(notification["UnsubscribeURL"]).read()
    assert sns.list_subscriptions_by_topic(TopicArn=arn)["Subscriptions"] == []


def test_an_endpoint_that_fails_is_tried_again(sns, topic, endpoint):
    arn = topic()
    policy = json.dumps({"healthyRetryPolicy": {"numRetries": 3, "minDelayTarget": 1, "maxDelayTarget": 1}})
    confirmed(sns, arn, endpoint, DeliveryPolicy=policy, RawMessageDelivery="true")
    endpoint.answers.put(500)
    sns.publish(TopicArn=arn, Message="raw")
    first, again = endpoint.next(), endpoint.next()
    assert first[1] == again[1] == "raw"
    assert first[0]["x-amz-sns-rawdelivery"] == "true"


def test_a_function_gets_records(server, sns, topic, make_function, tools):
    make_function("sns-target", "python3.11", "app.handler",
                  {"app.py": "import json\ndef handler(event, context):\n    print('GOT', json.dumps(event))\n"}, Timeout=10)
    arn = topic()
    target = "arn:aws:lambda:us-east-1:000000000000:function:sns-target"
    tools.allow_service(server, target, "sns")
    sns.subscribe(TopicArn=arn, Protocol="lambda", Endpoint=target,
                  Attributes={"FilterPolicy": json.dumps({"kind": ["wanted"]})})
    for kind in ("unwanted", "wanted"):
        sns.publish(TopicArn=arn, Message=kind, MessageAttributes={"kind": {"DataType": "String", "StringValue": kind}})
    folder = server.data_dir / "data/logs" / "%2Faws%2Flambda%2Fsns-target"

    def events():
        text = "".join(path.read_text() for path in sorted(folder.glob("*.log"))) if folder.exists() else ""
        found = [json.loads(line)["m"] for line in text.splitlines() if '"GOT ' in line]
        return [json.loads(m.strip()[4:]) for m in found]

    tools.wait_until(events, what="the function's event")
    record = events()[0]["Records"][0]
    assert record["EventSource"] == "aws:sns" and record["Sns"]["Message"] == "wanted"
    assert record["Sns"]["Subject"] is None and record["Sns"]["SigningCertUrl"].endswith(".pem")
    assert len(events()) == 1


def test_a_rule_publishes_to_a_topic(server, sns, topic, endpoint, tools):
    arn = topic()
    tools.allow_service(server, arn, "events")
    confirmed(sns, arn, endpoint)
    events = server.client("events")
    events.put_rule(Name="to-topic", EventPattern=json.dumps({"source": ["sns.test"]}))
    events.put_targets(Rule="to-topic", Targets=[{"Id": "1", "Arn": arn, "InputPath": "$.detail"}])
    events.put_events(Entries=[{"Source": "sns.test", "DetailType": "t", "Detail": '{"a": 1}'}])
    assert json.loads(json.loads(endpoint.next()[1])["Message"]) == {"a": 1}
    events.remove_targets(Rule="to-topic", Ids=["1"])
    events.delete_rule(Name="to-topic")


def test_refusals_have_the_names_that_clients_catch(sns, topic):
    arn = topic()
    with pytest.raises(sns.exceptions.NotFoundException):
        sns.get_topic_attributes(TopicArn=arn + "x")
    with pytest.raises(sns.exceptions.InvalidParameterException, match="not implemented"):
        sns.subscribe(TopicArn=arn, Protocol="email", Endpoint="a@example.com")
    with pytest.raises(botocore.exceptions.ClientError) as refused:
        sns.create_platform_application(Name="a", Platform="GCM", Attributes={"PlatformCredential": "x"})
    assert refused.value.response["Error"]["Code"] == "NotImplemented"
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501


def test_a_wrong_signature_is_refused_in_xml(server):
    with pytest.raises(botocore.exceptions.ClientError) as refused:
        server.client("sns", aws_secret_access_key="wrong").list_topics()
    assert refused.value.response["Error"]["Code"] == "SignatureDoesNotMatch"
    with pytest.raises(botocore.exceptions.ClientError) as unknown:
        server.client("sns", aws_access_key_id="nobody").list_topics()
    assert unknown.value.response["Error"]["Code"] == "InvalidClientTokenId"


def test_topics_and_subscriptions_survive_a_restart(new_server, endpoint):
    instance = new_server().start()
    sns = instance.client("sns")
    arn = sns.create_topic(Name="kept", Tags=[{"Key": "a", "Value": "b"}])["TopicArn"]
    confirmed(sns, arn, endpoint)
    certificate = None
    sns.publish(TopicArn=arn, Message="one")
    certificate = json.loads(endpoint.next()[1])["SigningCertURL"].rsplit("/", 1)[1]
    instance.kill()
    instance.start()
    sns = instance.client("sns")
    assert sns.list_tags_for_resource(ResourceArn=arn)["Tags"] == [{"Key": "a", "Value": "b"}]
    sns.publish(TopicArn=arn, Message="two")
    notification = json.loads(endpoint.next()[1])
    assert notification["Message"] == "two"
    assert notification["SigningCertURL"].rsplit("/", 1)[1] == certificate


def queue_of(sqs, name, **attributes):
    """A queue that topics may send to."""
    policy = {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": "*"}]}
    url = sqs.create_queue(QueueName=name, Attributes={"Policy": json.dumps(policy), **attributes})["QueueUrl"]
    return url, sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]


def received(sqs, url, count=1):
    messages = []
    for _ in range(10):
        messages += sqs.receive_message(QueueUrl=url, WaitTimeSeconds=2, MaxNumberOfMessages=10, MessageAttributeNames=["All"],
                                        AttributeNames=["All"]).get("Messages", [])
        if len(messages) >= count:
            break
    return messages


def test_queues_get_envelopes_or_the_message_itself(sns, sqs, topic):
    arn = topic()
    plain_url, plain = queue_of(sqs, "sns-plain")
    raw_url, raw = queue_of(sqs, "sns-raw")
    sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=plain)
    sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=raw, Attributes={"RawMessageDelivery": "true"})
    sns.publish_batch(TopicArn=arn, PublishBatchRequestEntries=[
        {"Id": str(i), "Message": f"m{i}", "MessageAttributes": {"b": {"DataType": "Binary", "BinaryValue": b"\x00\x01"}}} for i in range(3)])
    bodies = sorted(json.loads(m["Body"])["Message"] for m in received(sqs, plain_url, 3))
    assert bodies == ["m0", "m1", "m2"]
    messages = received(sqs, raw_url, 3)
    assert sorted(m["Body"] for m in messages) == ["m0", "m1", "m2"]
    assert messages[0]["MessageAttributes"]["b"]["BinaryValue"] == b"\x00\x01"


def test_what_was_published_is_in_the_queues_with_the_answer(sns, sqs, topic):
    arn = topic()
    queues = [queue_of(sqs, f"sns-at-once-{n}") for n in range(5)]
    for _, target in queues:
        sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=target)
    sns.publish(TopicArn=arn, Message="now")
    for url, _ in queues:
        assert sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])["Attributes"] == {"ApproximateNumberOfMessages": "1"}


def test_fifo_topics_keep_the_order_and_drop_duplicates(sns, sqs, topic):
    arn = topic(fifo=True, ContentBasedDeduplication="true")
    url, target = queue_of(sqs, "sns-order.fifo", FifoQueue="true")
    sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=target, Attributes={"RawMessageDelivery": "true"})
    for text in ("1", "2", "2", "3"):
        sns.publish(TopicArn=arn, Message=text, MessageGroupId="g")
    assert [m["Body"] for m in received(sqs, url, 3)] == ["1", "2", "3"]


def test_a_fifo_topic_knows_its_duplicates_after_a_kill(new_server):
    instance = new_server().start()
    sns, sqs = instance.client("sns"), instance.client("sqs")
    arn = sns.create_topic(Name="kept.fifo", Attributes={"FifoTopic": "true"})["TopicArn"]
    url, target = queue_of(sqs, "sns-kept")
    sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=target, Attributes={"RawMessageDelivery": "true"})
    message = {"TopicArn": arn, "Message": "once", "MessageGroupId": "g", "MessageDeduplicationId": "d"}
    first = sns.publish(**message)
    instance.kill()
    instance.start()
    sns, sqs = instance.client("sns"), instance.client("sqs")
    again = sns.publish(**message)
    assert (again["MessageId"], again["SequenceNumber"]) == (first["MessageId"], first["SequenceNumber"])
    last = sns.publish(**{**message, "Message": "last", "MessageDeduplicationId": "e"})
    assert last["SequenceNumber"] > first["SequenceNumber"]
    assert sorted(m["Body"] for m in received(sqs, url, 2)) == ["last", "once"]


def test_what_a_queue_that_is_gone_would_get_goes_to_the_dead_letter_queue(sns, sqs, topic):
    arn = topic()
    url, target = queue_of(sqs, "sns-gone")
    dead_url, dead = queue_of(sqs, "sns-dead")
    sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=target, Attributes={
        "RawMessageDelivery": "true", "RedrivePolicy": json.dumps({"deadLetterTargetArn": dead})})
    sqs.delete_queue(QueueUrl=url)
    sns.publish(TopicArn=arn, Message="lost?")
    assert [m["Body"] for m in received(sqs, dead_url)] == ["lost?"]
