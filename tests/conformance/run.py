"""Replays recorded AWS calls against a fresh server and prints a table per service, with the reason of each case that does not pass.

The recordings are not part of this repository: MAYFLY_CONFORMANCE_DIR names their folder (default ../shared/conformance beside the
checkout). Cases whose archives are not carried are replayed with the functions here where any package will do, and skipped otherwise.
"""

import argparse
import collections
import concurrent.futures
import json
import os
import pathlib
import signal
import shutil
import subprocess
import sys
import tempfile

import boto3

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDER = pathlib.Path(os.environ.get("MAYFLY_CONFORMANCE_DIR", ROOT.parent / "shared/conformance"))
# Where the recordings' archives expect their files.
SOURCES = "tests/aws/services/lambda_/functions"
# Services that a case of another service may call: where they are not here yet, the case cannot pass.
IMPLEMENTED = {"events", "iam", "lambda", "scheduler", "secretsmanager", "sns", "sqs", "ssm", "sts"}
# What stands in the way of cases that need nothing else than this service, where it is not a defect of the answers.
POLLED = "the recording does not carry what the test waited for between its calls"
SPOILED = "the recording has replaced what AWS answered inside a text"
SORTED = "the test sorted what it had received; here the order is that of publishing"
OWN_KEY = "compares a key that the test's own code adds; all answers match"
PAST = "replays a span of the archive that had ended when the case was replayed"
AT_ONCE = "AWS carries a changed attribute out within a minute; here it holds at once"
RETENTION = "asks for a retention below the minute that AWS asks for"
USED = "the account of the recording had used the role before"
CREDENTIALS = "needs service-specific credentials, which are not carried out"
CANNOT_PASS = {
    "TestLambdaFeatures::test_invocation_type_event[python3.10]": "needs CloudWatch Logs, where the recording looks what ran",
    "TestLambdaEventInvokeConfig::test_lambda_eventinvokeconfig_exceptions": "the replay garbles two ARNs of the recording; all other answers match",
    "TestLambdaEventInvokeConfig::test_lambda_eventinvokeconfig_lifecycle": "the replay compares a set element by element; all answers match",
    **{f"TestSNSPlatform{name}": "needs mobile push, which is not carried out" for name in (
        "ApplicationCrud::test_create_platform_application_invalid_attributes[missing-credential]",
        "ApplicationCrud::test_create_platform_application_invalid_attributes[missing-principal]",
        "ApplicationCrud::test_create_platform_application_invalid_attributes[no-args]",
        "ApplicationCrud::test_get_platform_application_attributes_invalid_arn",
        "ApplicationCrud::test_set_platform_application_attributes_invalid_arn",
        "ApplicationCrud::test_set_platform_application_attributes_non_existing_app[dummy-args]",
        "ApplicationCrud::test_set_platform_application_attributes_non_existing_app[no-args]",
        "EndpointCrud::test_set_platform_endpoint_attributes_non_existent_endpoint")},
    **{f"TestSNS{name}": "needs text messages or mail, which are not carried out" for name in (
        "SMS::test_opt_in_non_existing_phone_number", "SMS::test_set_invalid_sms_attributes[InvalidAttributeName]",
        "SMS::test_set_invalid_sms_attributes[InvalidSMSType]", "SMS::test_set_invalid_sms_attributes[NoLetterID]",
        "SMS::test_set_invalid_sms_attributes[TooLongID]", "SubscriptionCrud::test_list_subscriptions_by_topic_pagination",
        "SubscriptionCrudV2::test_subscription_paging", "FilterPolicyConditions::test_policy_complexity_with_or",
        "FilterPolicyConditions::test_validate_policy_nested_anything_but_operator")},
    "TestSNSPublishDelivery::test_delivery_lambda": "needs logs of the delivery status, which are not carried out",
    "TestSNSSubscriptionCrudV2::test_confirm_subscription": "the recording does not carry the address of the test's own endpoint",
    "TestSNSSubscriptionSQS::test_publish_sqs_from_sns_with_xray_propagation": "the recording does not carry the header that the test's client sent",
    "TestSNSSubscriptionSQSFifo::test_validations_for_fifo": "the recording marks the wrong one of three calls as the one that fails",
    "TestSNSSubscriptionSQS::test_publish_batch_messages_from_sns_to_sqs": SORTED,
    "TestSNSFilterPolicyBody::test_filter_policy_on_message_body_array_attributes": SORTED,
    "TestSNSFilterPolicyBody::test_filter_policy_on_message_body_or_attribute": SORTED,
    "TestSNSFilterPolicyConditions::test_validate_policy_numeric_operator": OWN_KEY,
    "TestSNSFilterPolicyConditions::test_validate_policy_string_operators": OWN_KEY,
    "TestReplay::test_start_list_describe_canceled_replay[custom]": PAST,
    "TestReplay::test_start_list_describe_canceled_replay[default]": PAST,
    "TestEventBus::test_create_list_describe_delete_custom_event_buses[False-regions1]": "the recording has two regions under one name",
    "TestEventBus::test_create_list_describe_delete_custom_event_buses[True-regions1]": "the recording has two regions under one name",
    "TestEventTarget::test_put_target_id_validation": SPOILED,
    "TestInputTransformer::test_input_transformer_predefined_variables[\"Message containing all pre defined variables <aws.events.rule-arn> "
    "<aws.events.rule-name> <aws.events.event.ingestion-time>\"]": SPOILED,
    **{f"TestEventsTargetSns::test_put_events_with_target_sns[{name}]": SPOILED for name in ("domain", "path", "standard")},
    "test_event_bus_to_event_bus_cross_account_region[default-region]": "takes a refused call of the test's clean-up for a part of the test",
    "TestEventsTargetCloudWatchLogs::test_put_events_with_target_cloudwatch_logs": "needs CloudWatch Logs",
    **{f"TestIAMServiceRoles::test_service_role_lifecycle[{name}.amazonaws.com]": USED for name in ("kafka", "rds", "resource-explorer-2", "ssm", "sso")},
    "TestIAMIntegrations::test_attach_detach_role_policy": "the recording does not say that the call which AWS refuses is to fail",
    "TestIAMIntegrations::test_instance_profile_tags": "needs instance profiles, which are of machines",
    "TestIAMServiceSpecificCredentials::test_create_service_specific_credential_invalid_service": CREDENTIALS,
    "TestIAMServiceSpecificCredentials::test_id_match_user_mismatch": CREDENTIALS,
    "TestIAMServiceSpecificCredentials::test_user_match_id_mismatch[satisfiesregexbutstillinvalid]": CREDENTIALS,
    "TestIAMServiceSpecificCredentials::test_user_match_id_mismatch[totally-wrong-credential-id-with-hyphens]": CREDENTIALS,
    "TestSqsProvider::test_fifo_change_to_high_throughput_after_creation[sqs]": AT_ONCE,
    "TestSqsProvider::test_fifo_change_to_regular_throughput_after_creation[sqs]": AT_ONCE,
    "TestSqsProvider::test_message_retention_fifo": RETENTION,
    "TestSqsProvider::test_message_retention_with_inflight": RETENTION,
    "TestSqsProvider::test_list_queues_multi_region_with_endpoint_strategy_domain": "is about another server's names of queues",
    "TestSecretsManager::test_get_secret_value": "the replay compares the HTTP exchange; the answer in it matches",
    "TestSecretsManager::test_exp_raised_on_creation_of_secret_scheduled_for_deletion": "the replay does not build the answer that the test built; both match",
    **{f"TestSecretsManager::{name}": "the replay sorts by ids that the client made at random: passes every second time" for name in (
        "test_deprecated_secret_version_stage", "test_update_secret_description", "test_update_secret_version_stages_current_previous",
        "test_update_secret_version_stages_current_pending_cycle_custom_stages_2", "test_update_secret_version_stages_return_type")},
    "TestCodeSigningConfig::test_code_signing_not_found_excs": "needs code signing, which is not carried out",
    "TestSqsProvider::test_aws_trace_header_propagation[sqs]": "the recording does not carry the header that the test's client sent",
    "TestSqsProvider::test_fifo_approximate_number_of_messages_not_visible[sqs]": POLLED,
    "TestSqsProvider::test_publish_get_delete_message_batch[sqs]": POLLED,
    "TestSqsProvider::test_purge_queue[sqs]": POLLED,
    "TestSqsProvider::test_wait_time_seconds_queue_attribute_waits_correctly[sqs]": "needs the thread that sent meanwhile",
    r'TestSqsProvider::test_marker_serialization_json_protocol["{\\"foo\\": \\"ba\\rr\\"}"]': "names localhost:4566 itself",
    r'TestSqsProvider::test_marker_serialization_json_protocol[{"foo": "ba\rr", "foo2": "ba&quot;r&quot;"}]': "names localhost:4566 itself",
    "test_move_task_delete_destination_queue_while_running": POLLED,
    "TestLambdaAccountSettings::test_account_settings": "the recording compares the names of the members only, which the test took out of the answer",
}
ROLE = "arn:aws:iam::111111111111:role/recorded"


def services_of(case):
    body = [s for s in case["steps"] if s["n"] < case["body_to"]]
    return {s["service"] for s in body if "service" in s and "operation" in s}


def with_roles(node):
    """The recordings do not carry the role that each test made first; any role will do."""
    if isinstance(node, list):
        return [with_roles(x) for x in node]
    if not isinstance(node, dict):
        return node
    return {key: ROLE if key == "Role" and isinstance(value, dict) and "$ref" in value else with_roles(value) for key, value in node.items()}


def with_pauses(steps):
    """What a test did again and again until it had come true is carried once: it gets a moment, and a receive all that is there."""
    out, paused = [], None
    for step in steps:
        operation = step.get("operation") if step.get("retry") else None
        if operation in ("ReceiveMessage", "DescribeReplay", "DescribeArchive") and step["retry"] != paused:
            paused = step["retry"]
            out.append({"n": step["n"] - 0.5, "sleep": 1})
        if operation == "ReceiveMessage":
            step = {**step, "params": {"MaxNumberOfMessages": 10, **step["params"]}}
        handle = step.get("params", {}).get("ReceiptHandle")
        path = handle["$ref"] if isinstance(handle, dict) and "$ref" in handle else []
        if operation == "DeleteMessage" and "$iter" in path:
            each = path[:path.index("$iter") + 1]
            entry = {"Id": {"$ref": [*each, "MessageId"]}, "ReceiptHandle": handle}
            step = {**step, "operation": "DeleteMessageBatch", "params": {"QueueUrl": step["params"]["QueueUrl"], "Entries": [entry]}}
        out.append(step)
    return out


def user_of(endpoint):
    """Keys of a user who may do everything: the recordings were made by one, not by the account itself."""
    iam = boto3.client("iam", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test")
    iam.create_user(UserName="recorder")
    iam.put_user_policy(UserName="recorder", PolicyName="all", PolicyDocument=json.dumps(
        {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}))
    key = iam.create_access_key(UserName="recorder")["AccessKey"]
    return ["--access-key", key["AccessKeyId"], "--secret-key", key["SecretAccessKey"]]


def interpreters():
    """Folders with further versions of Python, so that a runtime runs on the version it names where there is one."""
    given = os.environ.get("MAYFLY_CONFORMANCE_INTERPRETERS")
    return given if given is not None else ":".join(str(p) for p in sorted(pathlib.Path.home().glob(".pyenv/versions/3.*/bin")))


def archives_missing(node, sources):
    """The first file that a case packs into a function and that is not carried here."""
    if isinstance(node, list):
        return next(filter(None, (archives_missing(x, sources) for x in node)), None)
    if not isinstance(node, dict):
        return None
    if isinstance(node.get("$zip"), dict):
        return next((str(v) for v in node["$zip"].values() if isinstance(v, str) and v.startswith("tests/") and not (sources / v).exists()), None)
    return next(filter(None, (archives_missing(x, sources) for x in node.values())), None)


def start_server(folder):
    read_end, write_end = os.pipe()
    # The server takes every variable with its prefix for a setting.
    env = {**{k: v for k, v in os.environ.items() if not k.startswith("MAYFLY_")}, "MAYFLY_ROOT_ACCESS_KEY_ID": "test", "MAYFLY_ROOT_SECRET_ACCESS_KEY": "test"}
    command = [str(ROOT / os.environ.get("MAYFLY_BINARY", "build/mayfly")), "serve", "--listen", "127.0.0.1:0", "--data", folder + "/data",
               "--control-fd", str(write_end), "--set", "runtimes.substitute=true"]  # Any interpreter of the language will do for these.
    if interpreters():
        command += ["--set", "runtimes.paths=" + interpreters()]
    process = subprocess.Popen(command, env=env, pass_fds=[write_end], stdout=subprocess.DEVNULL, stderr=open(folder + "/log", "w"))
    os.close(write_end)
    with os.fdopen(read_end) as control:
        return process, json.loads(control.readline())["endpoint"]


def replay_case(replay, recorded, case, sources):
    """One case against a server of its own, so that no case sees what another one left behind."""
    if others := services_of(case) - IMPLEMENTED - {"logs"}:
        return {"id": case["id"], "verdict": "needs", "why": ["needs " + ", ".join(sorted(others))]}
    if missing := archives_missing(case["steps"], sources):
        return {"id": case["id"], "verdict": "skip", "why": ["needs the archive of " + missing]}
    folder = tempfile.mkdtemp(prefix="mayfly-conformance-")
    process, endpoint = start_server(folder)
    try:
        trace, verdict_file = pathlib.Path(folder) / "trace.json", pathlib.Path(folder) / "verdict.json"
        trace.write_text(json.dumps({**recorded, "cases": [{**case, "steps": with_pauses(with_roles(case["steps"]))}]}))
        command = [sys.executable, str(replay), "--endpoint", endpoint, *user_of(endpoint), "--src", str(sources), "--json", str(verdict_file),
                   "--timeout", "20", "--poll", "3", "--max-sleep", "3", str(trace)]
        subprocess.run(command, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        verdicts = json.loads(verdict_file.read_text()) if verdict_file.exists() else []
        return verdicts[0] if verdicts else {"id": case["id"], "verdict": "error", "why": ["the replay ended without a verdict"]}
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
        shutil.rmtree(folder, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("services", nargs="*", default=["lambda", *sorted(IMPLEMENTED - {"lambda"})])
    parser.add_argument("--only", help="a part of a case's name")
    parser.add_argument("--jobs", type=int, default=3, help="servers at a time")
    parser.add_argument("--json", help="write every verdict to this file")
    arguments = parser.parse_args()
    replay = FOLDER / "tools/replay.py"
    if not replay.exists():
        print(f"SKIPPED: no recordings in {FOLDER}; set MAYFLY_CONFORMANCE_DIR")
        return 0
    sources = tempfile.mkdtemp(prefix="mayfly-conformance-")
    functions = pathlib.Path(sources) / SOURCES
    functions.mkdir(parents=True)
    for path in (ROOT / "tests/conformance/functions").iterdir():
        (functions / path.name).write_bytes(path.read_bytes())
    sources = pathlib.Path(sources)
    verdicts_of = {}
    for service in arguments.services:
        recorded = json.load(open(FOLDER / f"aws-traces/{service}.json"))
        cases = [c for c in recorded["cases"] if not arguments.only or arguments.only in c["id"]]
        with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
            verdicts_of[service] = list(pool.map(lambda case: replay_case(replay, recorded, case, sources), cases))
    shutil.rmtree(sources, ignore_errors=True)
    print(f"{'service':12} {'cases':>6} {'replayed':>9} {'passed':>7} {'rate':>6}")
    for service, verdicts in verdicts_of.items():
        counts = collections.Counter()
        rows = []
        for verdict in verdicts:
            kind = verdict["verdict"]
            if kind in ("fail", "error") and (reason := CANNOT_PASS.get(verdict["id"].split("::", 1)[-1])):
                kind, verdict["why"] = "out", [reason]
            counts[kind] += 1
            if kind != "pass" and kind != "skip":
                rows.append(f"  {kind:6} {verdict['id'].split('::', 1)[-1]}: {'; '.join(verdict['why'][:2])[:300]}")
        replayed = counts["pass"] + counts["fail"] + counts["error"]
        print(f"{service:12} {len(verdicts):6} {replayed:9} {counts['pass']:7} {100 * counts['pass'] / max(1, replayed):5.1f}%"
              f"   ({counts['skip']} skipped for archives, {counts['needs']} need other services, "
              f"{counts['out']} cannot pass, for the reasons below: {100 * counts['pass'] / max(1, replayed + counts['out']):.1f}% with them)")
        print("\n".join(rows))
    if arguments.json:
        pathlib.Path(arguments.json).write_text(json.dumps(verdicts_of, indent=1))
    return 0


sys.exit(main())
