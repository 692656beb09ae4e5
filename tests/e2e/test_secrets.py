"""Secrets Manager with ordinary clients: versions, rotation by a function, policies, and what is on the disk."""

import json
import pathlib
import subprocess
import sys

import botocore.exceptions
import pytest

from conftest import ROLE, wait_until, zip_bytes

ACCOUNT = "000000000000"
# What a function needs to call the platform without an SDK: Signature Version 4 by hand.
SIGNED = """
import datetime, hashlib, hmac, json, os, urllib.error, urllib.request

def call(operation, **request):
    body, host = json.dumps(request).encode(), os.environ["AWS_ENDPOINT_URL"].split("//")[1]
    now = datetime.datetime.utcnow().strftime("%Y%m%dT%H%M%SZ")
    scope = now[:8] + "/us-east-1/secretsmanager/aws4_request"
    headers = {"content-type": "application/x-amz-json-1.1", "host": host, "x-amz-date": now, "x-amz-security-token": os.environ["AWS_SESSION_TOKEN"],
               "x-amz-target": "secretsmanager." + operation}
    names = ";".join(headers)
    canonical = "\\n".join(["POST", "/", "", *(k + ":" + v for k, v in headers.items()), "", names, hashlib.sha256(body).hexdigest()])
    text = "\\n".join(["AWS4-HMAC-SHA256", now, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = ("AWS4" + os.environ["AWS_SECRET_ACCESS_KEY"]).encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    headers["authorization"] = "AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=%s, Signature=%s" % (os.environ["AWS_ACCESS_KEY_ID"], scope, names, signature)
    return json.loads(urllib.request.urlopen(urllib.request.Request(os.environ["AWS_ENDPOINT_URL"], data=body, headers=headers)).read() or b"{}")
"""
# The four-step protocol as the service's templates carry it out.
ROTATOR = SIGNED + """
def handler(event, context):
    secret, token, step = event["SecretId"], event["ClientRequestToken"], event["Step"]
    stages = call("DescribeSecret", SecretId=secret)["VersionIdsToStages"]
    assert "AWSPENDING" in stages[token], stages
    if step == "createSecret":
        try:
            call("GetSecretValue", SecretId=secret, VersionId=token, VersionStage="AWSPENDING")
        except urllib.error.HTTPError as error:
            assert b"ResourceNotFoundException" in error.read()
            password = call("GetRandomPassword", ExcludePunctuation=True)["RandomPassword"]
            call("PutSecretValue", SecretId=secret, ClientRequestToken=token, SecretString="rotated-" + password, VersionStages=["AWSPENDING"])
    if step == "finishSecret":
        current = next(v for v, s in stages.items() if "AWSCURRENT" in s)
        call("UpdateSecretVersionStage", SecretId=secret, VersionStage="AWSCURRENT", MoveToVersionId=token, RemoveFromVersionId=current)
"""


def error_of(call, *args, **kwargs):
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        call(*args, **kwargs)
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


def policy(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def everything_on_disk(server):
    return b"".join(path.read_bytes() for path in pathlib.Path(server.data_dir).rglob("*") if path.is_file() and not path.is_symlink())


@pytest.fixture(scope="module")
def secrets(server):
    return server.client("secretsmanager")


@pytest.fixture(scope="module")
def make_user(server):
    iam = server.client("iam")

    def make(name, *statements):
        iam.create_user(UserName=name)
        if statements:
            iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=policy(*statements))
        key = iam.create_access_key(UserName=name)["AccessKey"]
        return {"aws_access_key_id": key["AccessKeyId"], "aws_secret_access_key": key["SecretAccessKey"]}
    return make


def test_values_versions_and_stages(secrets):
    made = secrets.create_secret(Name="db/main", SecretString="one", Description="the database", Tags=[{"Key": "team", "Value": "blue"}])
    assert secrets.get_secret_value(SecretId="db/main")["SecretString"] == "one"
    assert secrets.get_secret_value(SecretId=made["ARN"])["SecretString"] == "one"
    assert secrets.get_secret_value(SecretId=made["ARN"][:-7])["SecretString"] == "one"
    second = secrets.put_secret_value(SecretId="db/main", SecretBinary=b"\x00\xff")
    assert secrets.get_secret_value(SecretId="db/main")["SecretBinary"] == b"\x00\xff"
    assert secrets.get_secret_value(SecretId="db/main", VersionStage="AWSPREVIOUS")["SecretString"] == "one"
    assert secrets.get_secret_value(SecretId="db/main", VersionId=made["VersionId"])["SecretString"] == "one"
    # The same token with the same value is the same version; with another value it is refused.
    again = secrets.put_secret_value(SecretId="db/main", SecretBinary=b"\x00\xff", ClientRequestToken=second["VersionId"])
    assert again["VersionId"] == second["VersionId"]
    assert error_of(secrets.put_secret_value, SecretId="db/main", SecretBinary=b"x", ClientRequestToken=second["VersionId"])[0] == "ResourceExistsException"
    secrets.update_secret_version_stage(SecretId="db/main", VersionStage="AWSCURRENT", MoveToVersionId=made["VersionId"], RemoveFromVersionId=second["VersionId"])
    assert secrets.get_secret_value(SecretId="db/main")["SecretString"] == "one"
    assert error_of(secrets.create_secret, Name="db/main", SecretString="x")[0] == "ResourceExistsException"
    assert error_of(secrets.get_secret_value, SecretId="db/none") == ("ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
    described = secrets.describe_secret(SecretId="db/main")
    assert described["Tags"] == [{"Key": "team", "Value": "blue"}] and "SecretString" not in described


def test_what_is_not_carried_out_is_refused_by_name(secrets):
    assert "KmsKeyId" in error_of(secrets.create_secret, Name="k", SecretString="x", KmsKeyId="alias/mine")[1]
    assert "AddReplicaRegions" in error_of(secrets.create_secret, Name="k", SecretString="x", AddReplicaRegions=[{"Region": "eu-west-1"}])[1]
    code, message = error_of(secrets.replicate_secret_to_regions, SecretId="k", AddReplicaRegions=[{"Region": "eu-west-1"}])
    assert "ReplicateSecretToRegions" in message


def test_lists_filters_and_batches(secrets):
    for i in range(5):
        secrets.create_secret(Name=f"list/{i}", SecretString=f"value {i}", Description="Listed thing", Tags=[{"Key": "odd", "Value": str(i % 2)}])
    names = lambda **request: [s["Name"] for s in secrets.list_secrets(**request)["SecretList"]]
    assert names(Filters=[{"Key": "name", "Values": ["list/"]}]) == ["list/4", "list/3", "list/2", "list/1", "list/0"]
    assert names(Filters=[{"Key": "name", "Values": ["list/"]}], SortOrder="asc", MaxResults=2) == ["list/0", "list/1"]
    assert names(Filters=[{"Key": "description", "Values": ["listed"]}, {"Key": "tag-value", "Values": ["1"]}], SortOrder="asc") == ["list/1", "list/3"]
    assert "list/0" not in names(Filters=[{"Key": "name", "Values": ["!list/"]}])
    paged = [s["Name"] for page in secrets.get_paginator("list_secrets").paginate(Filters=[{"Key": "all", "Values": ["thing"]}], PaginationConfig={"PageSize": 2}) for s in page["SecretList"]]
    assert sorted(paged) == [f"list/{i}" for i in range(5)]
    batch = secrets.batch_get_secret_value(SecretIdList=["list/0", "list/none", "list/1"])
    assert [v["SecretString"] for v in batch["SecretValues"]] == ["value 0", "value 1"]
    assert [(e["SecretId"], e["ErrorCode"]) for e in batch["Errors"]] == [("list/none", "ResourceNotFoundException")]


def test_a_batch_gives_only_what_the_caller_may_read(server, secrets, make_user):
    arn = secrets.create_secret(Name="batch/mine", SecretString="mine")["ARN"]
    secrets.create_secret(Name="batch/theirs", SecretString="theirs")
    user = server.client("secretsmanager", **make_user("bea", {"Effect": "Allow", "Action": "secretsmanager:BatchGetSecretValue", "Resource": "*"},
                                                       {"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": arn}))
    batch = user.batch_get_secret_value(SecretIdList=["batch/mine", "batch/theirs"])
    assert [v["SecretString"] for v in batch["SecretValues"]] == ["mine"]
    assert [e["ErrorCode"] for e in batch["Errors"]] == ["AccessDeniedException"]


def test_policies_names_tags_and_resource_policies_decide(server, secrets, make_user):
    arn = secrets.create_secret(Name="app/one", SecretString="1", Tags=[{"Key": "team", "Value": "red"}])["ARN"]
    secrets.create_secret(Name="app/two", SecretString="2", Tags=[{"Key": "team", "Value": "blue"}])
    by_name = server.client("secretsmanager", **make_user("nia", {"Effect": "Allow", "Action": "secretsmanager:GetSecretValue",
                                                                  "Resource": f"arn:aws:secretsmanager:us-east-1:{ACCOUNT}:secret:app/one-??????"}))
    assert by_name.get_secret_value(SecretId="app/one")["SecretString"] == "1"
    assert error_of(by_name.get_secret_value, SecretId="app/two")[0] == "AccessDeniedException"
    assert arn in error_of(by_name.delete_secret, SecretId="app/one")[1]
    by_tag = server.client("secretsmanager", **make_user("tag", {"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": "*",
                                                                 "Condition": {"StringEquals": {"secretsmanager:ResourceTag/team": "blue"}}}))
    assert by_tag.get_secret_value(SecretId="app/two")["SecretString"] == "2"
    assert error_of(by_tag.get_secret_value, SecretId="app/one")[0] == "AccessDeniedException"
    assert error_of(by_tag.get_secret_value, SecretId="app/none")[0] == "AccessDeniedException"
    # A resource policy alone lets a user of the account in, and its Deny keeps everybody out but root.
    guest = server.client("secretsmanager", **make_user("guest"))
    assert error_of(guest.get_secret_value, SecretId="app/one")[0] == "AccessDeniedException"
    secrets.put_resource_policy(SecretId="app/one", ResourcePolicy=policy(
        {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:user/guest"}, "Action": "secretsmanager:GetSecretValue", "Resource": "*"},
        {"Effect": "Deny", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:user/nia"}, "Action": "*", "Resource": "*"}))
    assert guest.get_secret_value(SecretId=arn)["SecretString"] == "1"
    assert error_of(by_name.get_secret_value, SecretId="app/one")[0] == "AccessDeniedException"
    public = policy({"Effect": "Allow", "Principal": "*", "Action": "secretsmanager:*", "Resource": "*"})
    assert error_of(secrets.put_resource_policy, SecretId="app/one", ResourcePolicy=public, BlockPublicPolicy=True)[0] == "PublicPolicyException"
    assert secrets.validate_resource_policy(ResourcePolicy=public)["PolicyValidationPassed"] is False
    assert error_of(secrets.put_resource_policy, SecretId="app/one", ResourcePolicy="{nonsense")[0] == "MalformedPolicyDocumentException"
    secrets.delete_resource_policy(SecretId="app/one")
    assert "ResourcePolicy" not in secrets.get_resource_policy(SecretId="app/one")
    assert by_name.get_secret_value(SecretId="app/one")["SecretString"] == "1"


def test_a_random_password_has_what_was_asked_for(secrets):
    password = secrets.get_random_password(PasswordLength=64, ExcludeCharacters="abcXYZ", ExcludePunctuation=True)["RandomPassword"]
    assert len(password) == 64 and password.isalnum() and not set(password) & set("abcXYZ")
    for _ in range(20):
        short = secrets.get_random_password(PasswordLength=4)["RandomPassword"]
        assert any(c.islower() for c in short) and any(c.isupper() for c in short) and any(c.isdigit() for c in short)
    assert error_of(secrets.get_random_password, ExcludeLowercase=True, ExcludeUppercase=True, ExcludeNumbers=True, ExcludePunctuation=True)[0] == "InvalidParameterException"


@pytest.fixture(scope="module")
def rotator(server, make_function):
    iam, functions = server.client("iam"), server.client()
    iam.create_role(RoleName="test", AssumeRolePolicyDocument=policy({"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}))
    iam.put_role_policy(RoleName="test", PolicyName="p", PolicyDocument=policy({"Effect": "Allow", "Action": "secretsmanager:*", "Resource": "*"}))
    make_function("rotator", "python3.11", "app.handler", {"app.py": ROTATOR}, Timeout=30)
    arn = functions.get_function(FunctionName="rotator")["Configuration"]["FunctionArn"]
    yield arn
    iam.delete_role_policy(RoleName="test", PolicyName="p")
    iam.delete_role(RoleName="test")


def test_a_function_rotates_a_secret_in_four_steps(server, secrets, rotator):
    first = secrets.create_secret(Name="rotating", SecretString="initial")
    code, message = error_of(secrets.rotate_secret, SecretId="rotating", RotationLambdaARN=rotator, RotationRules={"AutomaticallyAfterDays": 7})
    assert code == "AccessDeniedException" and "secretsmanager.amazonaws.com" in message
    server.client().add_permission(FunctionName="rotator", StatementId="sm", Action="lambda:InvokeFunction", Principal="secretsmanager.amazonaws.com",
                                   SourceAccount=ACCOUNT)
    begun = secrets.rotate_secret(SecretId="rotating", RotationLambdaARN=rotator, RotationRules={"AutomaticallyAfterDays": 7})
    wait_until(lambda: "LastRotatedDate" in secrets.describe_secret(SecretId="rotating"), what="the rotation")
    described = secrets.describe_secret(SecretId="rotating")
    assert described["VersionIdsToStages"] == {first["VersionId"]: ["AWSPREVIOUS"], begun["VersionId"]: ["AWSCURRENT"]}
    assert described["RotationEnabled"] and described["NextRotationDate"]
    assert secrets.get_secret_value(SecretId="rotating")["SecretString"].startswith("rotated-")
    secrets.cancel_rotate_secret(SecretId="rotating")
    assert secrets.describe_secret(SecretId="rotating")["RotationEnabled"] is False


READER = """
import json, os, urllib.error, urllib.request
def handler(event, context):
    headers = {"X-Aws-Parameters-Secrets-Token": event.get("token") or os.environ["AWS_SESSION_TOKEN"]}
    try:
        answer = urllib.request.urlopen(urllib.request.Request("http://localhost:2773" + event["path"], headers=headers))
    except urllib.error.HTTPError as error:
        answer = error
    return {"status": answer.status, "body": json.loads(answer.read())}
"""


def test_functions_read_at_the_local_address_with_the_rights_of_their_role(server, secrets, rotator, make_function):
    make_function("reader", "python3.11", "app.handler", {"app.py": READER}, Timeout=30)
    server.client("iam").put_role_policy(RoleName="test", PolicyName="parameters", PolicyDocument=policy(
        {"Effect": "Allow", "Action": "ssm:GetParameter", "Resource": f"arn:aws:ssm:us-east-1:{ACCOUNT}:parameter/local/*"}))
    read = lambda path, **more: json.loads(server.client().invoke(FunctionName="reader", Payload=json.dumps({"path": path, **more}))["Payload"].read())
    try:
        secrets.create_secret(Name="local/one", SecretString="first")
        secrets.put_secret_value(SecretId="local/one", SecretString="second")
        got = read("/secretsmanager/get?secretId=local%2Fone")
        assert got["status"] == 200 and got["body"]["SecretString"] == "second" and got["body"]["Name"] == "local/one"
        assert read("/secretsmanager/get?secretId=local%2Fone&versionStage=AWSPREVIOUS")["body"]["SecretString"] == "first"
        # Nothing is cached: what was changed is seen at once.
        secrets.put_secret_value(SecretId="local/one", SecretString="third")
        assert read("/secretsmanager/get?secretId=local%2Fone")["body"]["SecretString"] == "third"
        ssm = server.client("ssm")
        ssm.put_parameter(Name="/local/p", Value="hush", Type="SecureString")
        assert read("/systemsmanager/parameters/get?name=%2Flocal%2Fp&withDecryption=true")["body"]["Parameter"]["Value"] == "hush"
        assert "hush" not in read("/systemsmanager/parameters/get?name=%2Flocal%2Fp")["body"]["Parameter"]["Value"]
        assert read("/systemsmanager/parameters/get?name=%2Flocal%2Fp&version=1&withDecryption=true")["body"]["Parameter"]["Version"] == 1
        ssm.put_parameter(Name="/other/p", Value="x", Type="String")
        refused = read("/systemsmanager/parameters/get?name=%2Fother%2Fp")
        assert refused["status"] >= 400 and "AccessDenied" in refused["body"]["__type"]
        assert read("/secretsmanager/get?secretId=local%2Fone", token="wrong")["status"] == 401
        assert read("/secretsmanager/get")["status"] == 400
        assert read("/anything")["status"] == 404
        assert read("/secretsmanager/get?secretId=none")["body"]["__type"] == "ResourceNotFoundException"
    finally:
        server.client("iam").delete_role_policy(RoleName="test", PolicyName="parameters")


def test_schedules_and_recovery_windows_follow_the_clock(new_server):
    server = new_server({"test_clock": "true"}).start()
    secrets, functions = server.client("secretsmanager"), server.client()
    iam = server.client("iam")
    iam.create_role(RoleName="test", AssumeRolePolicyDocument=policy({"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}))
    iam.put_role_policy(RoleName="test", PolicyName="p", PolicyDocument=policy({"Effect": "Allow", "Action": "secretsmanager:*", "Resource": "*"}))
    functions.create_function(FunctionName="rotator", Runtime="python3.11", Handler="app.handler", Role=ROLE, Timeout=30, Code={"ZipFile": zip_bytes({"app.py": ROTATOR})})
    functions.add_permission(FunctionName="rotator", StatementId="sm", Action="lambda:InvokeFunction", Principal="secretsmanager.amazonaws.com")
    arn = functions.get_function(FunctionName="rotator")["Configuration"]["FunctionArn"]
    secrets.create_secret(Name="weekly", SecretString="initial")
    secrets.rotate_secret(SecretId="weekly", RotationLambdaARN=arn, RotationRules={"ScheduleExpression": "rate(7 days)"}, RotateImmediately=False)
    secrets.create_secret(Name="leaving", SecretString="x")
    secrets.delete_secret(SecretId="leaving", RecoveryWindowInDays=7)
    assert error_of(secrets.get_secret_value, SecretId="leaving")[0] == "InvalidRequestException"
    secrets.restore_secret(SecretId="leaving")
    assert secrets.get_secret_value(SecretId="leaving")["SecretString"] == "x"
    secrets.delete_secret(SecretId="leaving", RecoveryWindowInDays=7)

    def advance(by):
        subprocess.run([str(server.binary), "clock", "advance", by, "--endpoint", server.endpoint], env={**server.env, "AWS_ACCESS_KEY_ID": "test",
                       "AWS_SECRET_ACCESS_KEY": "test"}, check=True, capture_output=True, timeout=60)
    advance("6d")
    assert secrets.get_secret_value(SecretId="weekly")["SecretString"] == "initial"
    assert "DeletedDate" in secrets.describe_secret(SecretId="leaving")
    advance("2d")
    assert secrets.get_secret_value(SecretId="weekly")["SecretString"].startswith("rotated-"), server.log_text()[-3000:]
    assert error_of(secrets.describe_secret, SecretId="leaving")[0] == "ResourceNotFoundException"
    secrets.create_secret(Name="leaving", SecretString="again")


def test_nothing_is_in_clear_on_the_disk_and_everything_is_there_after_a_kill(new_server):
    server = new_server().start()
    secrets = server.client("secretsmanager")
    secrets.create_secret(Name="kept", SecretString="cleartext-needle-1")
    secrets.put_secret_value(SecretId="kept", SecretBinary=b"cleartext-needle-2")
    server.kill()
    disk = everything_on_disk(server)
    assert b"kept" in disk and b"cleartext-needle" not in disk
    server.start()
    secrets = server.client("secretsmanager")
    assert secrets.get_secret_value(SecretId="kept")["SecretBinary"] == b"cleartext-needle-2"
    assert secrets.get_secret_value(SecretId="kept", VersionStage="AWSPREVIOUS")["SecretString"] == "cleartext-needle-1"


def test_a_lost_master_key_fails_the_reads_that_need_it_and_is_named(new_server):
    server = new_server().start()
    server.client("secretsmanager").create_secret(Name="old", SecretString="x")
    server.stop()
    keys = server.data_dir / "data" / "master-keys"
    lost = keys.read_text()
    assert keys.stat().st_mode & 0o777 == 0o600
    keys.write_text("11" * 32 + "\n")
    server.start()
    secrets = server.client("secretsmanager")
    code, message = error_of(secrets.get_secret_value, SecretId="old")
    assert code == "DecryptionFailure" and "needs the master key" in message and lost.strip() not in message
    secrets.create_secret(Name="new", SecretString="y")
    assert secrets.get_secret_value(SecretId="new")["SecretString"] == "y"
    assert secrets.describe_secret(SecretId="old")["Name"] == "old"
    server.stop()
    keys.write_text("11" * 32 + "\n" + lost)  # The old key behind the new one.
    server.start()
    assert server.client("secretsmanager").get_secret_value(SecretId="old")["SecretString"] == "x"


def test_environment_variables_and_connections_are_encrypted_at_rest(new_server):
    server = new_server().start()
    functions, events = server.client(), server.client("events")
    code = "import os\ndef handler(event, context):\n    return os.environ['TOKEN']\n"
    functions.create_function(FunctionName="f", Runtime="python3.11", Handler="app.handler", Role=ROLE, Code={"ZipFile": zip_bytes({"app.py": code})},
                              Environment={"Variables": {"TOKEN": "cleartext-needle-3"}})
    functions.publish_version(FunctionName="f")
    functions.update_function_configuration(FunctionName="f", Environment={"Variables": {"TOKEN": "cleartext-needle-4"}})
    events.create_connection(Name="c", AuthorizationType="API_KEY", AuthParameters={"ApiKeyAuthParameters": {"ApiKeyName": "k", "ApiKeyValue": "cleartext-needle-5"}})
    assert functions.invoke(FunctionName="f")["Payload"].read() == b'"cleartext-needle-4"'
    server.kill()
    assert b"cleartext-needle" not in everything_on_disk(server)
    server.start()
    functions = server.client()
    assert functions.get_function_configuration(FunctionName="f", Qualifier="1")["Environment"] == {"Variables": {"TOKEN": "cleartext-needle-3"}}
    assert functions.invoke(FunctionName="f")["Payload"].read() == b'"cleartext-needle-4"'
    server.stop()
    # Without its master key a function says so, keeps what it has, and takes new variables.
    keys = server.data_dir / "data" / "master-keys"
    old = keys.read_text()
    keys.write_text("33" * 32 + "\n")
    server.start()
    functions = server.client()
    assert "needs the master key" in functions.get_function_configuration(FunctionName="f")["Environment"]["Error"]["Message"]
    assert error_of(functions.invoke, FunctionName="f")[0] == "KMSAccessDeniedException"
    functions.update_function_configuration(FunctionName="f", Timeout=5)
    server.stop()
    keys.write_text("33" * 32 + "\n" + old)
    server.start()
    assert server.client().invoke(FunctionName="f")["Payload"].read() == b'"cleartext-needle-4"'


def mayfly(server, *arguments, text=None):
    env = {**server.env, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "MAYFLY_ENDPOINT": server.endpoint}
    for name in ("MAYFLY_ROOT_ACCESS_KEY_ID", "MAYFLY_ROOT_SECRET_ACCESS_KEY"):
        env.pop(name)
    return subprocess.run([str(server.binary), *arguments], env=env, input=text, capture_output=True, text=True, timeout=60)


def test_a_master_key_is_replaced_while_the_server_runs(new_server):
    server = new_server().start()
    secrets, parameters = server.client("secretsmanager"), server.client("ssm")
    for i in range(20):
        secrets.create_secret(Name=f"s{i}", SecretString=f"value {i}")
    parameters.put_parameter(Name="/p", Value="secure", Type="SecureString")
    before = json.loads(mayfly(server, "secret", "keys", "--json").stdout)
    assert before["Keys"] == [before["Current"]] and before["Other"] == {}
    moved = mayfly(server, "secret", "rotate-key", "--forget", "--json")
    assert moved.returncode == 0, moved.stderr
    assert json.loads(moved.stdout)["Rewrapped"] >= 21
    after = json.loads(mayfly(server, "secret", "keys", "--json").stdout)
    assert after["Keys"] == [after["Current"]] and after["Current"] != before["Current"] and after["Values"] == before["Values"]
    # What the services hold in memory is older than the store; it is read anew where it has to be changed.
    secrets.put_secret_value(SecretId="s0", SecretString="changed")
    server.kill()
    server.start()
    secrets = server.client("secretsmanager")
    assert secrets.get_secret_value(SecretId="s0")["SecretString"] == "changed"
    assert secrets.get_secret_value(SecretId="s7")["SecretString"] == "value 7"
    assert server.client("ssm").get_parameter(Name="/p", WithDecryption=True)["Parameter"]["Value"] == "secure"


def test_the_command_line_takes_values_from_standard_input(server):
    assert mayfly(server, "secret", "set", "typed", "--description", "d", text="one\n").returncode == 0
    assert mayfly(server, "secret", "set", "typed", text="two").returncode == 0
    assert mayfly(server, "secret", "get", "typed").stdout == "two\n"
    assert mayfly(server, "secret", "get", "typed", "--stage", "AWSPREVIOUS").stdout == "one\n"
    assert "typed" in mayfly(server, "secret", "ls").stdout
    assert mayfly(server, "secret", "rm", "typed").returncode == 1
    assert mayfly(server, "secret", "rm", "typed", "--now", "-y").returncode == 0
    assert "ResourceNotFoundException" in mayfly(server, "secret", "get", "typed").stderr
    assert mayfly(server, "parameter", "set", "/typed/p", text="three\n").returncode == 0
    assert mayfly(server, "parameter", "get", "/typed/p").stdout == "three\n"
    assert "SecureString" in mayfly(server, "parameter", "ls", "/typed").stdout
    assert mayfly(server, "parameter", "rm", "/typed/p", "-y").returncode == 0


def test_keys_come_from_a_command_or_the_environment(new_server):
    for setting, env in (("command:echo " + "22" * 32, {}), ("environment:THE_KEYS", {"THE_KEYS": "22" * 32})):
        server = new_server({"secrets.master_keys": setting}, env).start()
        secrets = server.client("secretsmanager")
        secrets.create_secret(Name="s", SecretString="v")
        assert secrets.get_secret_value(SecretId="s")["SecretString"] == "v"
        assert not (server.data_dir / "data" / "master-keys").exists()
        server.stop()


def test_the_aws_command_line_reads_and_writes(server):
    aws = [sys.executable, "-m", "awscli", "--endpoint-url", server.endpoint, "--region", "us-east-1", "secretsmanager"]
    env = {**server.env, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    subprocess.run([*aws, "create-secret", "--name", "cli", "--secret-string", "from the shell"], env=env, check=True, capture_output=True)
    out = subprocess.run([*aws, "get-secret-value", "--secret-id", "cli"], env=env, check=True, capture_output=True).stdout
    assert json.loads(out)["SecretString"] == "from the shell"
