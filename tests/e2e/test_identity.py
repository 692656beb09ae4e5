"""Who may do what: users, roles and sessions of ordinary clients, and attempts to have more than was given."""

import json
import urllib.error
import urllib.parse
import urllib.request

import botocore.exceptions
import pytest

ACCOUNT = "000000000000"
FUNCTION = {"app.py": "def handler(event, context):\n    return event\n"}


def policy(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(action, resource="*", **more):
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def trust(principal, **more):
    return policy({"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole", **more})


def error_of(call, *args, **kwargs):
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        call(*args, **kwargs)
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


def keys(credentials):
    token = {"aws_session_token": credentials["SessionToken"]} if "SessionToken" in credentials else {}
    return {"aws_access_key_id": credentials["AccessKeyId"], "aws_secret_access_key": credentials["SecretAccessKey"], **token}


@pytest.fixture(scope="module")
def iam(server):
    return server.client("iam")


@pytest.fixture(scope="module")
def sts(server):
    return server.client("sts")


@pytest.fixture(scope="module")
def make_user(iam, server):
    def make(name, *statements):
        iam.create_user(UserName=name)
        if statements:
            iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=policy(*statements))
        return keys(iam.create_access_key(UserName=name)["AccessKey"])
    return make


@pytest.fixture(scope="module")
def function(make_function):
    return make_function("guarded", "python3.11", "app.handler", FUNCTION)


def test_a_user_may_do_what_its_policy_says_and_nothing_more(server, make_user, function, invoke):
    ann = server.client("lambda", **make_user("ann", allow("lambda:InvokeFunction", f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:guarded")))
    assert ann.invoke(FunctionName=function, Payload=b"1")["Payload"].read() == b"1"
    code, message = error_of(ann.get_function, FunctionName=function)
    assert code == "AccessDeniedException"
    assert message == (f"User: arn:aws:iam::{ACCOUNT}:user/ann is not authorized to perform: lambda:GetFunction on resource: "
                       f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:guarded because no identity-based policy allows the lambda:GetFunction action")
    assert error_of(ann.list_functions)[0] == "AccessDeniedException"
    # Another spelling of a name is still that function, and another function is not.
    assert ann.invoke(FunctionName=f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:guarded", Payload=b"2")["Payload"].read() == b"2"
    assert error_of(ann.invoke, FunctionName="guarded2")[0] == "AccessDeniedException"
    assert error_of(ann.invoke, FunctionName="arn:aws:lambda:us-east-1:999999999999:function:guarded")[0] == "AccessDeniedException"


def test_an_explicit_deny_wins_and_is_named(server, make_user, function):
    client = server.client("lambda", **make_user("dan", allow("lambda:*"), {"Effect": "Deny", "Action": "lambda:Delete*", "Resource": "*"}))
    assert client.get_function(FunctionName=function)["Configuration"]["FunctionName"] == function
    assert error_of(client.delete_function, FunctionName=function)[1].endswith("with an explicit deny in an identity-based policy")


def test_groups_managed_policies_versions_and_boundaries(server, iam, make_user, function):
    client = server.client("lambda", **make_user("gus"))
    assert error_of(client.get_function, FunctionName=function)[0] == "AccessDeniedException"
    iam.create_group(GroupName="readers")
    arn = iam.create_policy(PolicyName="reads", PolicyDocument=policy(allow("lambda:Get*")))["Policy"]["Arn"]
    iam.attach_group_policy(GroupName="readers", PolicyArn=arn)
    iam.add_user_to_group(GroupName="readers", UserName="gus")
    assert client.get_function(FunctionName=function)
    iam.create_policy_version(PolicyArn=arn, PolicyDocument=policy(allow("lambda:List*")), SetAsDefault=True)
    assert error_of(client.get_function, FunctionName=function)[0] == "AccessDeniedException"
    assert client.list_functions()["Functions"]
    bound = iam.create_policy(PolicyName="bound", PolicyDocument=policy(allow("lambda:Get*")))["Policy"]["Arn"]
    iam.put_user_permissions_boundary(UserName="gus", PermissionsBoundary=bound)
    assert "because no permissions boundary allows" in error_of(client.list_functions)[1]
    assert error_of(iam.delete_policy, PolicyArn=arn)[0] == "DeleteConflict"


def test_keys_end_when_they_are_switched_off_or_deleted(server, iam, make_user):
    given = make_user("kim", allow("sts:*"))
    client = server.client("sts", **given)
    assert client.get_caller_identity()["Arn"] == f"arn:aws:iam::{ACCOUNT}:user/kim"
    iam.update_access_key(UserName="kim", AccessKeyId=given["aws_access_key_id"], Status="Inactive")
    assert error_of(client.get_caller_identity)[0] == "InvalidClientTokenId"
    iam.update_access_key(UserName="kim", AccessKeyId=given["aws_access_key_id"], Status="Active")
    assert client.get_caller_identity()
    iam.delete_access_key(UserName="kim", AccessKeyId=given["aws_access_key_id"])
    assert error_of(client.get_caller_identity)[0] == "InvalidClientTokenId"


def test_roles_are_assumed_by_whom_they_trust(server, iam, sts, make_user, function):
    user = make_user("rob", allow("sts:AssumeRole"))
    iam.create_role(RoleName="worker", AssumeRolePolicyDocument=trust({"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, Condition={"StringEquals": {"sts:ExternalId": "42"}}))
    iam.put_role_policy(RoleName="worker", PolicyName="p", PolicyDocument=policy(allow("lambda:*")))
    arn = f"arn:aws:iam::{ACCOUNT}:role/worker"
    client = server.client("sts", **user)
    assert error_of(client.assume_role, RoleArn=arn, RoleSessionName="s1")[0] == "AccessDenied"
    assert error_of(client.assume_role, RoleArn=arn, RoleSessionName="s1", ExternalId="43")[0] == "AccessDenied"
    assert error_of(client.assume_role, RoleArn=arn + "2", RoleSessionName="s1", ExternalId="42")[0] == "AccessDenied"
    answer = client.assume_role(RoleArn=arn, RoleSessionName="s1", ExternalId="42", Policy=policy(allow("lambda:Get*")))
    assert answer["AssumedRoleUser"]["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/worker/s1"
    session = keys(answer["Credentials"])
    assert server.client("sts", **session).get_caller_identity()["Arn"] == answer["AssumedRoleUser"]["Arn"]
    as_role = server.client("lambda", **session)
    assert as_role.get_function(FunctionName=function)
    assert "because no session policy allows" in error_of(as_role.list_functions)[1]
    # A role made again under the name is another role: sessions of the old one end.
    iam.delete_role_policy(RoleName="worker", PolicyName="p")
    assert error_of(as_role.get_function, FunctionName=function)[0] == "AccessDeniedException"
    iam.delete_role(RoleName="worker")
    iam.create_role(RoleName="worker", AssumeRolePolicyDocument=trust({"AWS": ACCOUNT}))
    iam.attach_role_policy(RoleName="worker", PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
    assert error_of(as_role.get_function, FunctionName=function)[0] == "AccessDeniedException"


def test_forged_tokens_are_refused(server, iam, sts, make_user):
    session = sts.get_session_token(DurationSeconds=900)["Credentials"]
    good = keys(session)
    assert server.client("sts", **good).get_caller_identity()
    forged = [
        {**good, "aws_session_token": good["aws_session_token"][:-8] + "AAAAAAA="},
        {**good, "aws_session_token": "A" * 40},
        {**good, "aws_secret_access_key": "x" * 40},
        {**good, "aws_access_key_id": "ASIAAAAAAAAAAAAAAAAA"},
        {"aws_access_key_id": good["aws_access_key_id"], "aws_secret_access_key": good["aws_secret_access_key"]},
        {**good, "aws_session_token": sts.get_session_token()["Credentials"]["SessionToken"]},
        {**make_user("mel"), "aws_session_token": good["aws_session_token"]},
    ]
    for credentials in forged:
        code, _ = error_of(server.client("sts", **credentials).get_caller_identity)
        assert code in ("InvalidClientTokenId", "SignatureDoesNotMatch"), credentials


def test_passing_a_role_needs_a_permission_of_its_own(server, make_user, function):
    client = server.client("lambda", **make_user("pat", allow("lambda:*")))
    code, message = error_of(client.update_function_configuration, FunctionName=function, Role=f"arn:aws:iam::{ACCOUNT}:role/admin")
    assert code == "AccessDeniedException" and "iam:PassRole on resource: " + f"arn:aws:iam::{ACCOUNT}:role/admin" in message


def test_nobody_raises_themselves(server, make_user):
    client = server.client("iam", **make_user("eve", allow("lambda:*")))
    everything = policy(allow("*"))
    assert error_of(client.put_user_policy, UserName="eve", PolicyName="x", PolicyDocument=everything)[0] == "AccessDenied"
    assert error_of(client.create_user, UserName="eve2")[0] == "AccessDenied"
    assert error_of(client.create_access_key, UserName="ann")[0] == "AccessDenied"


def test_the_servers_own_api_is_not_everybodys(server, make_user):
    import botocore.auth
    import botocore.awsrequest
    import botocore.credentials
    given = make_user("ned", allow("lambda:*"))
    request = botocore.awsrequest.AWSRequest("GET", server.endpoint + "/_mayfly/status")
    botocore.auth.SigV4Auth(botocore.credentials.Credentials(given["aws_access_key_id"], given["aws_secret_access_key"]), "mayfly", "us-east-1").add_auth(request)
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(urllib.request.Request(request.url, headers=dict(request.headers)))
    assert caught.value.code == 403


def test_a_resource_policy_grants_by_itself(server, make_user, lambda_client, function):
    client = server.client("lambda", **make_user("guest"))
    assert error_of(client.invoke, FunctionName=function)[0] == "AccessDeniedException"
    lambda_client.add_permission(FunctionName=function, StatementId="guest-1", Action="lambda:InvokeFunction", Principal=f"arn:aws:iam::{ACCOUNT}:user/guest")
    assert client.invoke(FunctionName=function, Payload=b"3")["Payload"].read() == b"3"
    lambda_client.remove_permission(FunctionName=function, StatementId="guest-1")
    assert error_of(client.invoke, FunctionName=function)[0] == "AccessDeniedException"


def test_malformed_policies_are_refused_with_reason_and_place(iam):
    bad = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*"}]})
    code, message = error_of(iam.create_policy, PolicyName="bad", PolicyDocument=bad)
    assert code == "MalformedPolicyDocument" and message.startswith("Policy statement must contain resources. (Statement[0], line 1")


def test_simulation_says_what_would_be_decided(iam, make_user):
    make_user("sim", allow("s3:Get*", "arn:aws:s3:::a/*"))
    answer = iam.simulate_principal_policy(PolicySourceArn=f"arn:aws:iam::{ACCOUNT}:user/sim", ActionNames=["s3:GetObject", "s3:PutObject"], ResourceArns=["arn:aws:s3:::a/b"])
    assert [r["EvalDecision"] for r in answer["EvaluationResults"]] == ["allowed", "implicitDeny"]


def test_identities_are_there_after_a_restart(new_server):
    server = new_server().start()
    iam = server.client("iam")
    iam.create_user(UserName="kept")
    iam.attach_user_policy(UserName="kept", PolicyArn="arn:aws:iam::aws:policy/AWSLambda_ReadOnlyAccess")
    given = keys(iam.create_access_key(UserName="kept")["AccessKey"])
    session = keys(server.client("sts", **given).get_session_token()["Credentials"])
    server.kill()
    server.start()
    assert server.client("lambda", **given).list_functions()["Functions"] == []
    assert server.client("lambda", **session).list_functions()["Functions"] == []
    secrets = [given["aws_secret_access_key"].encode(), session["aws_secret_access_key"].encode(), session["aws_session_token"].encode()]
    for path in server.data_dir.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert not any(secret in content for secret in secrets), path


SDK_FUNCTION = """
import boto3, os
from botocore.config import Config
config = Config(retries={'max_attempts': 0}, connect_timeout=5, read_timeout=10)
def handler(event, context):
    out = {'endpoint': os.environ['AWS_ENDPOINT_URL'], 'arn': boto3.client('sts', config=config).get_caller_identity()['Arn']}
    client = boto3.client('lambda', config=config)
    for name, call in (('invoke', lambda: client.invoke(FunctionName='guarded', Payload=b'"hi"')['Payload'].read().decode()), ('list', lambda: len(client.list_functions()['Functions']))):
        try:
            out[name] = call()
        except Exception as e:
            out[name] = getattr(e, 'response', {}).get('Error', {}).get('Code', repr(e))
    return out
"""


def sdk_package(source):
    """The function and the parts of boto3 that it needs, out of this Python's own packages."""
    import boto3
    import pathlib
    site = pathlib.Path(boto3.__file__).parents[1]
    data = ("lambda", "sts", "endpoints.json", "partitions.json", "sdk-default-configuration.json", "_retry.json")
    files = {"app.py": source}
    for package in ("boto3", "botocore", "jmespath", "s3transfer", "dateutil", "urllib3"):
        for path in (site / package).rglob("*"):
            name = path.relative_to(site)
            if not path.is_file() or (name.parts[:2] == ("botocore", "data") and name.parts[2] not in data):
                continue
            if path.suffix != ".pyc" and "examples" not in name.parts:
                files[str(name)] = path.read_bytes()
    files["six.py"] = (site / "six.py").read_bytes()
    return files


def test_a_function_has_the_rights_of_its_role_and_nothing_more(server, iam, lambda_client, make_function, function, invoke):
    iam.create_role(RoleName="caller", AssumeRolePolicyDocument=trust({"Service": "lambda.amazonaws.com"}))
    iam.put_role_policy(RoleName="caller", PolicyName="p", PolicyDocument=policy(allow("lambda:InvokeFunction", f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:guarded")))
    name = make_function("sdk", "python3.11", "app.handler", sdk_package(SDK_FUNCTION), Timeout=30, MemorySize=512)
    # Its role (the tests' own) does not exist in IAM: it runs, and may do nothing but say who it is.
    _, answer = invoke(name, {})
    assert answer["arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/test/sdk" and answer["invoke"] == answer["list"] == "AccessDeniedException"
    lambda_client.update_function_configuration(FunctionName=name, Role=f"arn:aws:iam::{ACCOUNT}:role/caller")
    lambda_client.get_waiter("function_updated_v2").wait(FunctionName=name)
    _, answer = invoke(name, {})
    assert answer == {"endpoint": "http://127.0.0.1:9001", "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/caller/sdk", "invoke": '"hi"', "list": "AccessDeniedException"}
    # What is taken from the role is taken from instances that run.
    iam.delete_role_policy(RoleName="caller", PolicyName="p")
    assert invoke(name, {})[1]["invoke"] == "AccessDeniedException"


def test_roles_can_be_required(new_server, tools):
    server = new_server({"iam.require_roles": "true"}).start()
    client, iam = server.client(), server.client("iam")
    settings = {"FunctionName": "f", "Runtime": "python3.11", "Handler": "app.handler", "Code": {"ZipFile": tools.zip_bytes(FUNCTION)}, "Role": f"arn:aws:iam::{ACCOUNT}:role/runner"}
    assert error_of(client.create_function, **settings) == ("InvalidParameterValueException", "The role defined for the function cannot be assumed by Lambda.")
    iam.create_role(RoleName="runner", AssumeRolePolicyDocument=trust({"Service": "ecs.amazonaws.com"}))
    assert error_of(client.create_function, **settings)[0] == "InvalidParameterValueException"
    iam.update_assume_role_policy(RoleName="runner", PolicyDocument=trust({"Service": "lambda.amazonaws.com"}))
    assert client.create_function(**settings)["FunctionName"] == "f"


def test_a_function_url_is_open_to_nobody_without_a_policy(server, lambda_client, function):
    lambda_client.create_function_url_config(FunctionName=function, AuthType="NONE")
    host = urllib.parse.urlparse(lambda_client.get_function_url_config(FunctionName=function)["FunctionUrl"]).netloc

    def status():
        try:
            return urllib.request.urlopen(urllib.request.Request(server.endpoint + "/", headers={"Host": host})).status
        except urllib.error.HTTPError as error:
            return error.code

    assert status() == 403
    lambda_client.add_permission(FunctionName=function, StatementId="public", Action="lambda:InvokeFunctionUrl", Principal="*", FunctionUrlAuthType="NONE")
    assert status() == 200
    lambda_client.remove_permission(FunctionName=function, StatementId="public")
    assert status() == 403


def test_decisions_are_explained(server, iam, make_user, function, tools):
    import os
    import subprocess
    make_user("exi", allow("lambda:Get*", Sid="Reads"))
    env = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "us-east-1"}

    def explain(action):
        command = [str(tools.binary), "iam", "explain", "--endpoint", server.endpoint, f"arn:aws:iam::{ACCOUNT}:user/exi", action, f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:guarded"]
        done = subprocess.run(command, env=env, capture_output=True, text=True)
        return done.returncode, done.stdout.strip() + done.stderr.strip()

    assert explain("lambda:GetFunction") == (0, "allowed: Reads of the identity-based policy own")
    code, text = explain("lambda:DeleteFunction")
    assert code == 1 and text.startswith("denied: no identity-based policy allows lambda:DeleteFunction")
