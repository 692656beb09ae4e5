"""An SDK of 2023, which speaks SQS's Query protocol: everything a client does with a queue. Prints what it saw as JSON.

usage: PYTHONPATH=<the old SDK> sqs_client.py ENDPOINT
"""

import json
import sys

import boto3
import botocore
import botocore.config
import botocore.exceptions

assert botocore.__version__.startswith("1.29."), botocore.__version__
sqs = boto3.client("sqs", endpoint_url=sys.argv[1], region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test",
                   config=botocore.config.Config(retries={"max_attempts": 0}))
assert sqs.meta.service_model.metadata["protocol"] == "query"
seen = {}


def error(call, **arguments):
    try:
        call(**arguments)
    except botocore.exceptions.ClientError as failure:
        return [failure.response["Error"]["Code"], failure.response["Error"]["Message"], failure.response["ResponseMetadata"]["HTTPStatusCode"]]
    return None


url = sqs.create_queue(QueueName="old", Attributes={"VisibilityTimeout": "20"}, tags={"team": "a&b"})["QueueUrl"]
seen["url"] = url
seen["tags"] = sqs.list_queue_tags(QueueUrl=url)["Tags"]
seen["timeout"] = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]["VisibilityTimeout"]
sent = sqs.send_message(QueueUrl=url, MessageBody="<a>&\r\n", MessageAttributes={
    "s": {"DataType": "String", "StringValue": "grün"}, "b": {"DataType": "Binary", "BinaryValue": b"\x00\xff"}})
seen["md5"] = sent["MD5OfMessageAttributes"]
batch = sqs.send_message_batch(QueueUrl=url, Entries=[
    {"Id": "one", "MessageBody": "one"}, {"Id": "two", "MessageBody": "two", "DelaySeconds": 9000}])
seen["batch"] = [[e["Id"] for e in batch["Successful"]], [(e["Id"], e["Code"], e["SenderFault"]) for e in batch["Failed"]]]
messages = []
while len(messages) < 2:
    messages += sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=2, AttributeNames=["All"], MessageAttributeNames=["All"])["Messages"]
first = next(m for m in messages if m["Body"].startswith("<"))
seen["body"] = first["Body"]
seen["attributes"] = {name: value.get("StringValue") or value["BinaryValue"].hex() for name, value in first["MessageAttributes"].items()}
seen["receive_count"] = first["Attributes"]["ApproximateReceiveCount"]
changed = sqs.change_message_visibility_batch(QueueUrl=url, Entries=[
    {"Id": str(n), "ReceiptHandle": m["ReceiptHandle"], "VisibilityTimeout": 60} for n, m in enumerate(messages)])
seen["changed"] = len(changed["Successful"])
deleted = sqs.delete_message_batch(QueueUrl=url, Entries=[{"Id": str(n), "ReceiptHandle": m["ReceiptHandle"]} for n, m in enumerate(messages)])
seen["deleted"] = len(deleted["Successful"])
seen["empty"] = "Messages" in sqs.receive_message(QueueUrl=url)
seen["listed"] = sqs.list_queues(QueueNamePrefix="old")["QueueUrls"]
seen["missing"] = error(sqs.get_queue_url, QueueName="none")
seen["conflict"] = error(sqs.create_queue, QueueName="old", Attributes={"VisibilityTimeout": "21"})
seen["handle"] = error(sqs.delete_message, QueueUrl=url, ReceiptHandle="nonsense")
sqs.delete_queue(QueueUrl=url)
seen["gone"] = error(sqs.send_message, QueueUrl=url, MessageBody="x")
print(json.dumps(seen))
