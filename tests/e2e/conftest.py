"""A real server on a free port with a fresh data folder for each test module, and ordinary clients for it.

The server says its port on a control descriptor. After each module the log must hold no error and nothing of the server may be left.
"""

import contextlib
import http.client
import io
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time
import types
import zipfile

import boto3
import botocore.config
import botocore.exceptions
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = (ROOT / os.environ.get("MAYFLY_BINARY", "build/mayfly")).resolve()
ROLE = "arn:aws:iam::000000000000:role/test"
SANITIZED = "asan" in str(BINARY) or "tsan" in str(BINARY)


def zip_bytes(files):
    """A zip archive of {name: str or bytes}; everything is executable."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = 0o100755 << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, content)
    return buffer.getvalue()


class Server:
    """One mayfly process. start() may be called again after kill() or stop(), on the same data."""

    def __init__(self, data_dir, settings=None, env=None, user=None, binary=BINARY):
        self.data_dir = pathlib.Path(data_dir)
        self.user, self.binary = user, binary
        self.settings = settings or {}
        self.env = {"PATH": os.environ["PATH"], "HOME": str(data_dir), "MAYFLY_ROOT_ACCESS_KEY_ID": "test",
                    "MAYFLY_ROOT_SECRET_ACCESS_KEY": "test", **(env or {})}
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS"):
            if name in os.environ:
                self.env[name] = os.environ[name]
        self.log_path = self.data_dir / "server.log"
        self.process = None

    def start(self):
        read_end, write_end = os.pipe()
        settings = {"listen": "127.0.0.1:0", **self.settings}
        command = [str(self.binary), "serve", "--data", str(self.data_dir / "data"), "--control-fd", str(write_end)]
        for name, value in settings.items():
            command += ["--set", f"{name}={value}"]
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(command, env=self.env, pass_fds=[write_end], stdout=log, stderr=log, user=self.user, group=self.user,
                                            extra_groups=None if self.user is None else [])
        os.close(write_end)
        with os.fdopen(read_end) as control:
            line = control.readline()
        if not line:
            self.process.wait(10)
            raise RuntimeError(f"the server did not start:\n{self.log_path.read_text()[-4000:]}")
        ready = json.loads(line)
        self.endpoint, self.port, self.pid = ready["endpoint"], ready["port"], self.process.pid
        return self

    def stop(self, timeout=60):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout)

    def kill(self):
        self.process.kill()
        self.process.wait(30)

    def log_text(self):
        return self.log_path.read_text(errors="replace")

    def client(self, service="lambda", **overrides):
        config = botocore.config.Config(retries={"max_attempts": 0}, read_timeout=120, connect_timeout=10, max_pool_connections=64)
        settings = {"endpoint_url": self.endpoint, "region_name": "us-east-1", "aws_access_key_id": "test",
                    "aws_secret_access_key": "test", "config": config, **overrides}
        return boto3.client(service, **settings)


@pytest.fixture(scope="module")
def server_settings():
    """Override in a module to start its server with other settings."""
    return {}


@pytest.fixture(scope="module")
def server(server_settings):
    folder = tempfile.mkdtemp(prefix="mayfly-test-")
    instance = Server(folder, server_settings).start()
    yield instance
    code = instance.stop()
    log = instance.log_text()
    shutil.rmtree(folder, ignore_errors=True)
    assert code == 0, f"the server ended with {code}:\n{log[-4000:]}"
    errors = [line for line in log.splitlines() if '"level":"error"' in line or "Sanitizer" in line]
    assert not errors, "\n".join(errors[:10])


@pytest.fixture
def new_server(tmp_path):
    """A function that makes further servers, stopped at the end of the test."""
    made = []

    def make(settings=None, env=None):
        folder = tmp_path / f"server-{len(made)}"
        folder.mkdir()
        made.append(Server(folder, settings, env))
        return made[-1]

    yield make
    for instance in made:
        if instance.process and instance.process.poll() is None:
            instance.stop()
    for instance in made:
        log = instance.log_text() if instance.log_path.exists() else ""
        assert "Sanitizer" not in log, log[log.index("Sanitizer"):][:4000]


@pytest.fixture(scope="module")
def lambda_client(server):
    return server.client()


@pytest.fixture(scope="module")
def make_function(lambda_client):
    made = []

    def make(name, runtime, handler, files, **settings):
        lambda_client.create_function(FunctionName=name, Runtime=runtime, Handler=handler, Role=ROLE,
                                      Code={"ZipFile": files if isinstance(files, bytes) else zip_bytes(files)}, **settings)
        made.append(name)
        lambda_client.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
        return name

    yield make
    for name in made:
        try:
            lambda_client.delete_function(FunctionName=name)
        except botocore.exceptions.ClientError as error:
            assert error.response["Error"]["Code"] == "ResourceNotFoundException"


@pytest.fixture(scope="module")
def invoke(lambda_client):
    def call(name, payload=None, **settings):
        response = lambda_client.invoke(FunctionName=name, Payload=json.dumps(payload or {}).encode(), **settings)
        text = response["Payload"].read()
        try:
            return response, json.loads(text) if text else None
        except ValueError:
            return response, text

    return call


class Answer:
    def __init__(self, response):
        self.status, self.headers, self.body = response.status, response.headers, response.read()

    def json(self):
        return json.loads(self.body)


def send_http(server, host, path="/", method="GET", body=None, headers=None):
    """A plain request to the server under a name of its own, whatever the machine's resolver knows."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    with contextlib.closing(connection):
        connection.request(method, path, body=body, headers={"Host": host, **(headers or {})})
        return Answer(connection.getresponse())


def wait_until(condition, seconds=30.0, what="the condition"):
    """Polls from outside the server, whose own time cannot be moved here."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come true in {seconds} s"
        time.sleep(0.05)


def allow_service(server, arn, service):
    """Lets a service give events to a function, a queue or a topic, by the resource's own policy."""
    kind = arn.split(":")[2]
    principal = f"{service}.amazonaws.com"
    if kind == "lambda":
        server.client().add_permission(FunctionName=arn, StatementId=f"by-{service}", Action="lambda:InvokeFunction", Principal=principal)
        return
    action = {"sqs": "sqs:SendMessage", "sns": "sns:Publish"}[kind]
    policy = json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"Service": principal}, "Action": action, "Resource": arn}]})
    if kind == "sns":
        server.client("sns").set_topic_attributes(TopicArn=arn, AttributeName="Policy", AttributeValue=policy)
    else:
        sqs = server.client("sqs")
        sqs.set_queue_attributes(QueueUrl=sqs.get_queue_url(QueueName=arn.rsplit(":", 1)[1])["QueueUrl"], Attributes={"Policy": policy})


def service_role(server, service, name="test", actions="*"):
    """A role that a service acts as. The default is ROLE, which may do everything."""
    iam = server.client("iam")
    trust = {"Effect": "Allow", "Principal": {"Service": f"{service}.amazonaws.com"}, "Action": "sts:AssumeRole"}
    try:
        role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}))["Role"]
    except iam.exceptions.EntityAlreadyExistsException:
        role = iam.get_role(RoleName=name)["Role"]
    allow = {"Effect": "Allow", "Action": actions, "Resource": "*"}
    iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [allow]}))
    return role["Arn"]


@pytest.fixture(scope="session")
def tools():
    return types.SimpleNamespace(allow_service=allow_service, service_role=service_role, server=Server, zip_bytes=zip_bytes, wait_until=wait_until, role=ROLE, binary=BINARY, sanitized=SANITIZED)
