"""Ordinary clients, unchanged: the aws command line and the SDK for JavaScript."""

import json
import os
import pathlib
import subprocess

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parents[1]


def test_aws_command_line(server, tmp_path, tools):
    (tmp_path / "f.zip").write_bytes(tools.zip_bytes({"app.py": "def handler(e, c): return {'got': e}"}))
    env = {**os.environ, "AWS_ENDPOINT_URL": server.endpoint, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
           "AWS_DEFAULT_REGION": "us-east-1", "AWS_PAGER": "", "HOME": str(tmp_path)}

    def aws(*arguments):
        done = subprocess.run([str(ROOT / ".venv/bin/aws"), "lambda", *arguments], env=env, cwd=tmp_path, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if done.stdout.strip() else None

    created = aws("create-function", "--function-name", "cli", "--runtime", "python3.11", "--handler", "app.handler",
                  "--role", tools.role, "--zip-file", "fileb://f.zip")
    assert created["FunctionName"] == "cli"
    aws("wait", "function-active-v2", "--function-name", "cli")
    answer = aws("invoke", "--function-name", "cli", "--cli-binary-format", "raw-in-base64-out", "--payload", '{"a": 1}', "out.json") \
        if not _version_one(env) else aws("invoke", "--function-name", "cli", "--payload", '{"a": 1}', "out.json")
    assert answer["StatusCode"] == 200
    assert json.loads((tmp_path / "out.json").read_text()) == {"got": {"a": 1}}
    assert [f["FunctionName"] for f in aws("list-functions")["Functions"]] == ["cli"]
    aws("delete-function", "--function-name", "cli")


def _version_one(env):
    done = subprocess.run([str(ROOT / ".venv/bin/aws"), "--version"], env=env, capture_output=True, text=True, timeout=60)
    return done.stdout.startswith("aws-cli/1")


def test_sdk_for_javascript(server, tmp_path, tools):
    plain = tmp_path / "plain.zip"
    plain.write_bytes(tools.zip_bytes({"index.mjs": "export const handler = async (e) => { console.log('hello'); return {got: e}; };"}))
    stream = tmp_path / "stream.zip"
    stream.write_bytes(tools.zip_bytes({"index.mjs": "export const handler = awslambda.streamifyResponse(async (e, s) => { s.write('a'); s.write('b'); s.end(); });"}))
    done = subprocess.run(["node", str(HERE / "js/client.mjs"), server.endpoint, str(plain), str(stream)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["state"] == "Active" and result["payload"] == {"got": {"n": 1}} and "hello" in result["log"]
    assert result["stream"] == "ab" and result["complete"] and result["missing"] == "ResourceNotFoundException"
