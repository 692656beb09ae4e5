def handler(event, context):
    if isinstance(event, dict) and "fail" in event:
        raise ValueError(event["fail"])
    return {"echo": event, "request_id": context.aws_request_id}
