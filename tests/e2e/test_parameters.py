"""Parameter Store with ordinary clients: versions, labels, paths, filters, tags, rights."""

import json
import subprocess
import sys

import botocore.exceptions
import pytest

ACCOUNT = "000000000000"


def error_of(call, *args, **kwargs):
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        call(*args, **kwargs)
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


@pytest.fixture(scope="module")
def ssm(server):
    return server.client("ssm")


def test_values_versions_and_selectors(ssm):
    assert ssm.put_parameter(Name="plain", Value="1", Type="String")["Version"] == 1
    assert error_of(ssm.put_parameter, Name="plain", Value="2", Type="String")[0] == "ParameterAlreadyExists"
    assert ssm.put_parameter(Name="plain", Value="2", Overwrite=True)["Version"] == 2
    got = ssm.get_parameter(Name="plain")["Parameter"]
    assert got["Value"] == "2" and got["ARN"] == f"arn:aws:ssm:us-east-1:{ACCOUNT}:parameter/plain" and got["DataType"] == "text"
    assert ssm.get_parameter(Name="plain:1")["Parameter"]["Value"] == "1"
    assert ssm.get_parameter(Name=got["ARN"])["Parameter"]["Value"] == "2"
    assert ssm.label_parameter_version(Name="plain", ParameterVersion=1, Labels=["good", "9bad", "aws-bad"])["InvalidLabels"] == ["9bad", "aws-bad"]
    labelled = ssm.get_parameter(Name="plain:good")["Parameter"]
    assert labelled["Value"] == "1" and labelled["Selector"] == ":good"
    ssm.label_parameter_version(Name="plain", ParameterVersion=2, Labels=["good"])
    history = ssm.get_parameter_history(Name="plain")["Parameters"]
    assert [h["Labels"] for h in history][:2] == [[], ["good"]]
    assert ssm.unlabel_parameter_version(Name="plain", ParameterVersion=2, Labels=["good", "none"])["RemovedLabels"] == ["good"]
    assert error_of(ssm.get_parameter, Name="plain:good")[0] == "ParameterVersionNotFound"
    assert error_of(ssm.get_parameter, Name="plain:99")[0] == "ParameterVersionNotFound"
    assert error_of(ssm.get_parameter, Name="none")[0] == "ParameterNotFound"
    both = ssm.get_parameters(Names=["plain", "none"])
    assert [p["Name"] for p in both["Parameters"]] == ["plain"] and both["InvalidParameters"] == ["none"]
    assert ssm.delete_parameters(Names=["plain", "none"])["DeletedParameters"] == ["plain"]
    assert error_of(ssm.delete_parameter, Name="plain")[0] == "ParameterNotFound"


def test_a_secure_string_is_answered_in_clear_only_when_asked(ssm):
    ssm.put_parameter(Name="/s/secure", Value="hush", Type="SecureString")
    assert ssm.get_parameter(Name="/s/secure", WithDecryption=True)["Parameter"]["Value"] == "hush"
    sealed = ssm.get_parameter(Name="/s/secure")["Parameter"]
    assert sealed["Type"] == "SecureString" and "hush" not in sealed["Value"]
    ssm.put_parameter(Name="/s/secure", Value="hush again", Overwrite=True)
    values = [h["Value"] for h in ssm.get_parameter_history(Name="/s/secure", WithDecryption=True)["Parameters"]]
    assert values == ["hush", "hush again"]
    assert error_of(ssm.put_parameter, Name="/s/secure", Value="x", Type="String", Overwrite=True)[0] == "HierarchyTypeMismatchException"


def test_paths_and_filters(ssm):
    for name in ("/app/a", "/app/b", "/app/deep/c", "/apple"):
        ssm.put_parameter(Name=name, Value=name, Type="String", Tags=[{"Key": "of", "Value": name[1:4]}])
    names = lambda answer: [p["Name"] for p in answer["Parameters"]]
    assert names(ssm.get_parameters_by_path(Path="/app")) == ["/app/a", "/app/b"]
    assert names(ssm.get_parameters_by_path(Path="/app/", Recursive=True)) == ["/app/a", "/app/b", "/app/deep/c"]
    pages = ssm.get_paginator("get_parameters_by_path").paginate(Path="/app", Recursive=True, PaginationConfig={"PageSize": 2})
    assert [len(page["Parameters"]) for page in pages] == [2, 1]
    found = lambda **f: names(ssm.describe_parameters(ParameterFilters=[f]))
    assert found(Key="Path", Option="OneLevel", Values=["/app"]) == ["/app/a", "/app/b"]
    assert found(Key="Name", Option="BeginsWith", Values=["/app"]) == ["/app/a", "/app/b", "/app/deep/c", "/apple"]
    assert found(Key="Name", Option="Contains", Values=["deep"]) == ["/app/deep/c"]
    assert found(Key="tag:of", Values=["app"]) == ["/app/a", "/app/b", "/app/deep/c", "/apple"]
    assert "Value" not in ssm.describe_parameters()["Parameters"][0]


def test_what_does_not_fit_is_refused(ssm):
    assert error_of(ssm.put_parameter, Name="x", Value="1")[0] == "ValidationException"
    assert error_of(ssm.put_parameter, Name="aws/x", Value="1", Type="String")[0] == "AccessDeniedException"
    assert error_of(ssm.put_parameter, Name="a/x", Value="1", Type="String")[1] == "Parameter name must be a fully qualified name."
    assert error_of(ssm.put_parameter, Name="/a" * 16, Value="1", Type="String")[0] == "HierarchyLevelLimitExceededException"
    assert "4096" in error_of(ssm.put_parameter, Name="big", Value="x" * 4097, Type="String")[1]
    assert ssm.put_parameter(Name="big", Value="x" * 4097, Type="String", Tier="Intelligent-Tiering")["Tier"] == "Advanced"
    assert "Policies" in error_of(ssm.put_parameter, Name="p", Value="1", Type="String", Tier="Advanced", Policies='[{"Type":"Expiration","Version":"1.0","Attributes":{"Timestamp":"2030-01-01T00:00:00Z"}}]')[1]
    assert "KeyId" in error_of(ssm.put_parameter, Name="p", Value="1", Type="SecureString", KeyId="alias/mine")[1]
    assert error_of(ssm.put_parameter, Name="p", Value="abc", Type="String", AllowedPattern="^[0-9]+$")[0] == "ParameterPatternMismatchException"
    assert ssm.put_parameter(Name="p", Value="123", Type="String", AllowedPattern="^[0-9]+$")["Version"] == 1
    assert error_of(ssm.put_parameter, Name="q", Value="a" * 40, Type="String", AllowedPattern="(a+)+$x")[0] in ("ParameterPatternMismatchException", "InvalidAllowedPatternException")
    assert "GetDocument" in error_of(ssm.get_document, Name="x")[1]


def test_tags_and_rights(server, ssm):
    ssm.put_parameter(Name="/team/red", Value="1", Type="String")
    ssm.add_tags_to_resource(ResourceType="Parameter", ResourceId="/team/red", Tags=[{"Key": "team", "Value": "red"}])
    assert ssm.list_tags_for_resource(ResourceType="Parameter", ResourceId="/team/red")["TagList"] == [{"Key": "team", "Value": "red"}]
    ssm.put_parameter(Name="/team/blue", Value="2", Type="String")
    iam = server.client("iam")
    iam.create_user(UserName="pat")
    iam.put_user_policy(UserName="pat", PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": ["ssm:GetParameter", "ssm:GetParameters"], "Resource": f"arn:aws:ssm:us-east-1:{ACCOUNT}:parameter/team/red"},
        {"Effect": "Allow", "Action": "ssm:DeleteParameter", "Resource": "*", "Condition": {"StringEquals": {"aws:ResourceTag/team": "red"}}}]}))
    key = iam.create_access_key(UserName="pat")["AccessKey"]
    user = server.client("ssm", aws_access_key_id=key["AccessKeyId"], aws_secret_access_key=key["SecretAccessKey"])
    assert user.get_parameter(Name="/team/red")["Parameter"]["Value"] == "1"
    assert user.get_parameter(Name="/team/red:1")["Parameter"]["Value"] == "1"
    assert error_of(user.get_parameter, Name="/team/blue")[0] == "AccessDeniedException"
    assert error_of(user.get_parameters, Names=["/team/red", "/team/blue"])[0] == "AccessDeniedException"
    assert error_of(user.delete_parameter, Name="/team/blue")[0] == "AccessDeniedException"
    user.delete_parameter(Name="/team/red")


def test_the_aws_command_line_reads_and_writes(server):
    aws = [sys.executable, "-m", "awscli", "--endpoint-url", server.endpoint, "--region", "us-east-1", "ssm"]
    env = {**server.env, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    subprocess.run([*aws, "put-parameter", "--name", "/cli", "--value", "v", "--type", "SecureString"], env=env, check=True, capture_output=True)
    out = subprocess.run([*aws, "get-parameter", "--name", "/cli", "--with-decryption"], env=env, check=True, capture_output=True).stdout
    assert json.loads(out)["Parameter"]["Value"] == "v"
