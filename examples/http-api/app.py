"""Takes orders over HTTP and puts them into a queue. The gateway has checked who sends them; the role says what this may do.

Needs no packages: one signed request (Signature Version 4) to the platform's own endpoint.
"""

import datetime
import hashlib
import hmac
import json
import os
import urllib.error
import urllib.request


def signed_request(service, target, body):
    """A call of a JSON service with the function's own temporary credentials."""
    endpoint = os.environ["AWS_ENDPOINT_URL"]
    host = endpoint.split("://")[1]
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    scope = f"{now[:8]}/{os.environ['AWS_REGION']}/{service}/aws4_request"
    text = json.dumps(body).encode()
    headers = {"content-type": "application/x-amz-json-1.0", "host": host, "x-amz-date": now,
               "x-amz-security-token": os.environ["AWS_SESSION_TOKEN"], "x-amz-target": target}
    names = ";".join(sorted(headers))
    canonical = "\n".join(["POST", "/", "", *(f"{name}:{headers[name]}" for name in sorted(headers)), "", names,
                           hashlib.sha256(text).hexdigest()])
    to_sign = "\n".join(["AWS4-HMAC-SHA256", now, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = ("AWS4" + os.environ["AWS_SECRET_ACCESS_KEY"]).encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    signature = hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()
    headers["authorization"] = (f"AWS4-HMAC-SHA256 Credential={os.environ['AWS_ACCESS_KEY_ID']}/{scope}, "
                                f"SignedHeaders={names}, Signature={signature}")
    request = urllib.request.Request(endpoint + "/", data=text, headers=headers)
    with urllib.request.urlopen(request, timeout=5) as response:
        return json.load(response)


def handler(event, context):
    claims = event["requestContext"]["authorizer"]["jwt"]["claims"]
    order = {"customer": claims["sub"], "items": json.loads(event.get("body") or "{}").get("items", [])}
    try:
        sent = signed_request("sqs", "AmazonSQS.SendMessage", {"QueueUrl": os.environ["QUEUE_URL"], "MessageBody": json.dumps(order)})
    except urllib.error.HTTPError as error:
        print("the queue refused the order:", error.read().decode())
        return {"statusCode": 502, "body": json.dumps({"message": "The order could not be taken."})}
    return {"statusCode": 202, "headers": {"content-type": "application/json"}, "body": json.dumps({"order": sent["MessageId"]})}
