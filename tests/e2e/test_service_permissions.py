"""What services may give to queues, topics, functions and buses, and what their policies let users do: decided as AWS decides."""

import json
import uuid

import botocore.exceptions
import pytest

from test_identity import allow, error_of, keys, policy

ACCOUNT = "000000000000"
FUNCTION = {"app.py": "def handler(event, context):\n    return event\n"}


@pytest.fixture(scope="module")
def sqs(server):
    return server.client("sqs")


@pytest.fixture(scope="module")
def sns(server):
    return server.client("sns")


@pytest.fixture(scope="module")
def events(server):
    return server.client("events")


@pytest.fixture(scope="module")
def make_user(server):
    iam = server.client("iam")

    def make(*statements):
        name = "user-" + uuid.uuid4().hex[:8]
        arn = iam.create_user(UserName=name)["User"]["Arn"]
        if statements:
            iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=policy(*statements))
        return arn, keys(iam.create_access_key(UserName=name)["AccessKey"])

    return make


def service_may(service, action, resource, **conditions):
    statement = {"Effect": "Allow", "Principal": {"Service": f"{service}.amazonaws.com"}, "Action": action, "Resource": resource}
    return {**statement, "Condition": conditions} if conditions else statement


class Queue:
    def __init__(self, sqs, suffix="", **attributes):
        self.sqs = sqs
        self.name = "q-" + uuid.uuid4().hex[:8] + suffix
        self.url = sqs.create_queue(QueueName=self.name, Attributes=attributes)["QueueUrl"]
        self.arn = f"arn:aws:sqs:us-east-1:{ACCOUNT}:{self.name}"

    def allow(self, service, **conditions):
        self.set_policy(service_may(service, "sqs:SendMessage", self.arn, **conditions))
        return self

    def set_policy(self, *statements):
        self.sqs.set_queue_attributes(QueueUrl=self.url, Attributes={"Policy": policy(*statements)})

    def next(self, seconds=15):
        answer = self.sqs.receive_message(QueueUrl=self.url, WaitTimeSeconds=seconds, MaxNumberOfMessages=1, MessageAttributeNames=["All"])
        [message] = answer.get("Messages") or pytest.fail("no message came")
        self.sqs.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])
        return message["Body"], {name: a["StringValue"] for name, a in message.get("MessageAttributes", {}).items()}

    def is_empty(self):
        return "Messages" not in self.sqs.receive_message(QueueUrl=self.url)


def subscribe(sns, topic, queue, dead):
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue.arn, Attributes={
        "RawMessageDelivery": "true", "RedrivePolicy": json.dumps({"deadLetterTargetArn": dead.arn})})


@pytest.mark.parametrize("suffix", ["", ".fifo"])
def test_a_topic_sends_only_where_the_queue_allows_it(sns, sqs, suffix):
    fifo = {"FifoQueue": "true", "ContentBasedDeduplication": "true"} if suffix else {}
    topic = sns.create_topic(Name="t-" + uuid.uuid4().hex[:8] + suffix, Attributes={
        "FifoTopic": "true", "ContentBasedDeduplication": "true"} if suffix else {})["TopicArn"]
    queue = Queue(sqs, suffix, **fifo)
    dead = Queue(sqs, suffix, **fifo).allow("sns", ArnEquals={"aws:SourceArn": topic})
    subscribe(sns, topic, queue, dead)
    more = {"MessageGroupId": "g"} if suffix else {}

    def publish(text):
        sns.publish(TopicArn=topic, Message=text, **more)

    publish("no policy")
    body, attributes = dead.next()
    assert body == "no policy"
    if not suffix:
        assert attributes["ErrorCode"] == "AccessDenied" and "sqs:SendMessage" in attributes["ErrorMessage"]
    queue.allow("sns", ArnLike={"aws:SourceArn": topic.replace(":t-", ":another-")})
    publish("another topic's")
    assert dead.next()[0] == "another topic's"
    queue.allow("sns", StringEquals={"aws:SourceAccount": "111111111111"})
    publish("another account's")
    assert dead.next()[0] == "another account's"
    queue.allow("events")
    publish("another service's")
    assert dead.next()[0] == "another service's" and queue.is_empty()
    queue.allow("sns", ArnEquals={"aws:SourceArn": topic}, StringEquals={"aws:SourceAccount": ACCOUNT})
    publish("allowed")
    assert queue.next()[0] == "allowed"


@pytest.fixture
def rule(events):
    made = []

    def make(*targets):
        name = "r-" + uuid.uuid4().hex[:8]
        arn = events.put_rule(Name=name, EventPattern=json.dumps({"source": [name]}))["RuleArn"]
        listed = [{"Id": str(i), **target} for i, target in enumerate(targets)]
        assert events.put_targets(Rule=name, Targets=listed)["FailedEntryCount"] == 0
        made.append((name, [target["Id"] for target in listed]))

        def put(detail):
            assert events.put_events(Entries=[{"Source": name, "DetailType": "t", "Detail": json.dumps(detail)}])["FailedEntryCount"] == 0

        return arn, put

    yield make
    for name, ids in made:
        events.remove_targets(Rule=name, Ids=ids)
        events.delete_rule(Name=name)


def test_a_rule_sends_to_queues_that_allow_it_and_the_rest_is_a_dead_letter(sqs, rule):
    queue, dead = Queue(sqs), Queue(sqs)
    arn, put = rule({"Arn": queue.arn, "InputPath": "$.detail", "DeadLetterConfig": {"Arn": dead.arn}})
    dead.allow("events", ArnEquals={"aws:SourceArn": arn})
    put({"n": 1})
    body, attributes = dead.next()
    assert json.loads(body) == {"n": 1}
    assert attributes["ERROR_CODE"] == "NO_PERMISSIONS" and attributes["RULE_ARN"] == arn and attributes["TARGET_ARN"] == queue.arn
    assert attributes["RETRY_ATTEMPTS"] == "0"
    queue.allow("events", ArnEquals={"aws:SourceArn": arn})
    put({"n": 2})
    assert json.loads(queue.next()[0]) == {"n": 2}
    assert dead.is_empty()


def test_a_rule_sends_to_a_group_of_a_fifo_queue(sqs, rule):
    queue = Queue(sqs, ".fifo", FifoQueue="true").allow("events")
    _, put = rule({"Arn": queue.arn, "SqsParameters": {"MessageGroupId": "orders"}, "InputPath": "$.detail.n"})
    put({"n": 1})
    assert queue.next()[0] == "1"
    put({"n": 2})
    answer = sqs.receive_message(QueueUrl=queue.url, WaitTimeSeconds=15, AttributeNames=["MessageGroupId"])["Messages"][0]
    assert answer["Body"] == "2" and answer["Attributes"]["MessageGroupId"] == "orders"


def test_a_rule_whose_queue_is_gone_writes_a_dead_letter(sqs, rule):
    queue = Queue(sqs)
    dead = Queue(sqs).allow("events")
    _, put = rule({"Arn": queue.arn, "DeadLetterConfig": {"Arn": dead.arn}})
    sqs.delete_queue(QueueUrl=queue.url)
    put({"n": 1})
    body, attributes = dead.next()
    assert json.loads(body)["detail"] == {"n": 1} and attributes["TARGET_ARN"] == queue.arn and attributes["ERROR_CODE"]


def test_topics_and_functions_must_allow_a_rule_too(server, sns, sqs, rule, make_function):
    topic = sns.create_topic(Name="t-" + uuid.uuid4().hex[:8])["TopicArn"]
    function = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:{make_function('by-rule', 'python3.11', 'app.handler', FUNCTION)}"
    got = Queue(sqs).allow("sns")
    dead = Queue(sqs).allow("events")
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=got.arn, Attributes={"RawMessageDelivery": "true"})
    arn, put = rule({"Arn": topic, "InputPath": "$.detail", "DeadLetterConfig": {"Arn": dead.arn}},
                    {"Arn": function, "DeadLetterConfig": {"Arn": dead.arn}})
    put({"n": 1})
    assert {dead.next()[1]["TARGET_ARN"], dead.next()[1]["TARGET_ARN"]} == {topic, function}
    sns.set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=policy(service_may("events", "sns:Publish", topic)))
    server.client().add_permission(FunctionName="by-rule", StatementId="s", Action="lambda:InvokeFunction", Principal="events.amazonaws.com", SourceArn=arn)
    put({"n": 2})
    assert json.loads(got.next()[0]) == {"n": 2}
    assert dead.is_empty()


def test_a_schedule_has_the_rights_of_its_role(server, sqs, tools):
    scheduler = server.client("scheduler")
    queue, dead = Queue(sqs), Queue(sqs)
    role = tools.service_role(server, "scheduler", "schedules", ["sqs:ReceiveMessage"])
    stranger = tools.service_role(server, "lambda", "not-for-schedules")
    iam = server.client("iam")

    def run(text, role_arn):
        name = "s-" + uuid.uuid4().hex[:8]
        scheduler.create_schedule(Name=name, ScheduleExpression="rate(1 day)", FlexibleTimeWindow={"Mode": "OFF"}, Target={
            "Arn": queue.arn, "RoleArn": role_arn, "Input": text, "DeadLetterConfig": {"Arn": dead.arn}})
        return scheduler.get_schedule(Name=name)["Arn"]

    def grant(*statements):
        iam.put_role_policy(RoleName="schedules", PolicyName="own", PolicyDocument=policy(*statements))

    grant(allow("sqs:SendMessage", dead.arn))
    arn = run("refused", role)
    body, attributes = dead.next()
    assert body == "refused" and attributes["ERROR_CODE"] == "AccessDeniedException" and attributes["SCHEDULE_ARN"] == arn
    assert attributes["TARGET_ARN"] == queue.arn and attributes["SCHEDULED_TIME"].endswith("Z") and attributes["EXECUTION_ID"]
    grant(allow("sqs:SendMessage", queue.arn))
    run("allowed", role)
    assert queue.next()[0] == "allowed"
    # A role that does not trust the scheduler gives nothing, also where its policies would.
    iam.put_role_policy(RoleName="not-for-schedules", PolicyName="own", PolicyDocument=policy(allow("sqs:*")))
    run("stranger", stranger)
    assert queue.is_empty()


def test_a_queues_policy_takes_part_in_what_users_may_do(server, sqs, make_user):
    queue = Queue(sqs)
    arn, given = make_user()
    ann = server.client("sqs", **given)
    assert error_of(ann.send_message, QueueUrl=queue.url, MessageBody="x")[0] == "AccessDenied"
    queue.set_policy({"Effect": "Allow", "Principal": {"AWS": arn}, "Action": "sqs:SendMessage", "Resource": queue.arn})
    assert ann.send_message(QueueUrl=queue.url, MessageBody="x")["MessageId"]
    assert error_of(ann.receive_message, QueueUrl=queue.url)[0] == "AccessDenied"
    # The account's own statement leaves it to the identities' policies.
    queue.set_policy({"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "sqs:*", "Resource": queue.arn})
    assert error_of(ann.send_message, QueueUrl=queue.url, MessageBody="x")[0] == "AccessDenied"
    _, given = make_user(allow("sqs:*"))
    bob = server.client("sqs", **given)
    assert bob.receive_message(QueueUrl=queue.url)["Messages"]
    queue.set_policy({"Effect": "Deny", "Principal": "*", "Action": "sqs:ReceiveMessage", "Resource": queue.arn})
    code, message = error_of(bob.receive_message, QueueUrl=queue.url)
    assert code == "AccessDenied" and message.endswith("with an explicit deny in a resource-based policy")
    # A permission of AddPermission is a statement like any other.
    sqs.set_queue_attributes(QueueUrl=queue.url, Attributes={"Policy": ""})
    sqs.add_permission(QueueUrl=queue.url, Label="send", AWSAccountIds=[ACCOUNT], Actions=["SendMessage"])
    assert error_of(ann.send_message, QueueUrl=queue.url, MessageBody="x")[0] == "AccessDenied"
    with pytest.raises(botocore.exceptions.ClientError, match="Invalid value for the parameter Policy"):
        sqs.set_queue_attributes(QueueUrl=queue.url, Attributes={"Policy": '{"Statement": [{"Effect": "Perhaps"}]}'})


def test_a_topics_and_a_bus_policy_take_part_too(server, sns, events, make_user):
    topic = sns.create_topic(Name="t-" + uuid.uuid4().hex[:8])["TopicArn"]
    arn, given = make_user()
    ann = server.client("sns", **given)
    # The policy that every topic has names everybody, under a condition that no direct call meets.
    assert error_of(ann.publish, TopicArn=topic, Message="x")[0] in ("AuthorizationError", "AccessDenied")
    sns.set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=policy(
        {"Effect": "Allow", "Principal": {"AWS": arn}, "Action": "sns:Publish", "Resource": topic}))
    assert ann.publish(TopicArn=topic, Message="x")["MessageId"]
    bus = "b-" + uuid.uuid4().hex[:8]
    bus_arn = events.create_event_bus(Name=bus)["EventBusArn"]
    entry = {"Source": "s", "DetailType": "t", "Detail": "{}", "EventBusName": bus}
    bob = server.client("events", **given)
    assert error_of(bob.put_events, Entries=[entry])[0] == "AccessDeniedException"
    events.put_permission(EventBusName=bus, Policy=policy(
        {"Sid": "ann", "Effect": "Allow", "Principal": {"AWS": arn}, "Action": "events:PutEvents", "Resource": bus_arn}))
    assert bob.put_events(Entries=[entry])["FailedEntryCount"] == 0
    # Only that bus.
    assert error_of(bob.put_events, Entries=[{**entry, "EventBusName": "default"}])[0] == "AccessDeniedException"
