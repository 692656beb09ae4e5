"""The managed Python client, driven through a fake Runtime API."""

import json
import re
import sys

import pytest


def python(start, code, handler="app.handler", name="app.py", **environment):
    return start("python", {name: code}, handler, **environment)


def test_answers_several_invocations_over_one_connection(start):
    f = python(start, "n = 0\ndef handler(event, context):\n global n\n n += 1\n return {'n': n, 'echo': event}")
    for n in (1, 2, 3):
        answer = f.invoke({"a": "é☃"}, f"req-{n}")
        assert answer.kind == "response"
        assert answer.json == {"n": n, "echo": {"a": "é☃"}}
        assert answer.headers["content-type"] == "application/json"
    assert f.connections == 1


@pytest.mark.parametrize("handler", ["src/app.handler", "src.app.handler"])
def test_handler_in_a_folder(start, handler):
    f = python(start, "def handler(e, c): return 7", handler, "src/app.py")
    assert f.invoke().json == 7


def test_context(start):
    code = """
def handler(event, c):
    return [c.function_name, c.function_version, c.invoked_function_arn, c.memory_limit_in_mb, c.aws_request_id,
            c.log_group_name, c.log_stream_name, c.identity.cognito_identity_id, c.client_context.custom,
            c.client_context.env, c.client_context.client.app_title, c.client_context.client.installation_id,
            1000 < c.get_remaining_time_in_millis() <= 5000]
"""
    f = python(start, code)
    answer = f.invoke(
        timeout_ms=5000,
        **{
            "Lambda-Runtime-Client-Context": json.dumps({"custom": {"k": 1}, "env": {"x": "y"}, "client": {"app_title": "t"}}),
            "Lambda-Runtime-Cognito-Identity": json.dumps({"cognitoIdentityId": "id", "cognitoIdentityPoolId": "p"}),
        },
    )
    assert answer.json == [
        "f", "$LATEST", "arn:aws:lambda:us-east-1:000000000000:function:f", "128", "req-1", "/aws/lambda/f",
        "2026/01/01/[$LATEST]abc", "id", {"k": 1}, {"x": "y"}, "t", None, True,
    ]  # fmt: skip


def test_context_without_client_context_or_identity(start):
    f = python(start, "def handler(e, c): return [c.client_context, c.identity.cognito_identity_id, repr(c)[:14]]")
    assert f.invoke().json == [None, None, "LambdaContext("]


def test_trace_id_is_set_and_removed(start):
    f = python(start, "import os\ndef handler(e, c): return os.environ.get('_X_AMZN_TRACE_ID')")
    assert f.invoke(**{"Lambda-Runtime-Trace-Id": "Root=1-2"}).json == "Root=1-2"
    assert f.invoke(request_id="req-2").json is None


def test_an_exception_is_posted_with_its_trace_and_the_runtime_goes_on(start):
    f = python(start, "def inner():\n    raise KeyError('x')\ndef handler(e, c):\n    if e: inner()\n    return 1")
    answer = f.invoke({"fail": True})
    assert answer.kind == "error"
    assert answer.headers["lambda-runtime-function-error-type"] == "KeyError"
    error = answer.json
    assert error["errorMessage"] == "'x'"
    assert error["errorType"] == "KeyError"
    assert error["requestId"] == "req-1"
    assert len(error["stackTrace"]) == 2
    assert re.match(r'  File ".*/app.py", line 4, in handler\n    if e: inner\(\)\n', error["stackTrace"][0])
    assert "[ERROR] KeyError: 'x'\rTraceback (most recent call last):\r\u00a0\u00a0File" in f.output
    assert f.invoke(None, "req-2").json == 1


INIT_ERRORS = [
    ("def handler(e, c): pass", "nope.handler", "Runtime.ImportModuleError",
     "Unable to import module 'nope': No module named 'nope'"),
    ("import missing_thing", "app.handler", "Runtime.ImportModuleError",
     "Unable to import module 'app': No module named 'missing_thing'"),
    ("def other(e, c): pass", "app.handler", "Runtime.HandlerNotFound", "Handler 'handler' missing on module 'app'"),
    ("def handler(:", "app.handler", "Runtime.UserCodeSyntaxError",
     "Syntax error in module 'app': invalid syntax (app.py, line 1)"),
    ("x = 1", "app", "Runtime.MalformedHandlerName",
     "Bad handler 'app': not enough values to unpack (expected 2, got 1)"),
    ("x = 1", "sys.exit", "Runtime.BuiltInModuleConflict", "Cannot use built-in module sys as a handler module"),
    ("raise RuntimeError('no luck')", "app.handler", "RuntimeError", "no luck"),
]  # fmt: skip


@pytest.mark.parametrize("code,handler,kind,message", INIT_ERRORS, ids=[e[2] + str(i) for i, e in enumerate(INIT_ERRORS)])
def test_init_errors(start, code, handler, kind, message):
    f = python(start, code, handler)
    posted = f.wait()
    assert posted.path == "/2018-06-01/runtime/init/error"
    assert posted.headers["lambda-runtime-function-error-type"] == kind
    assert posted.json["errorType"] == kind
    assert posted.json["errorMessage"] == message
    assert posted.json["requestId"] == ""
    assert f.exit_status() == 1
    assert f"[ERROR] {kind}: {message}" in f.output


def test_a_result_that_is_no_json(start):
    f = python(start, "def handler(e, c): return {1, 2}")
    error = f.invoke().json
    assert error["errorType"] == "Runtime.MarshalError"
    assert error["errorMessage"] == "Unable to marshal response: Object of type set is not JSON serializable"
    assert error["stackTrace"] == []


def test_an_event_that_is_no_json(start):
    f = python(start, "def handler(e, c): return 1")
    error = f.invoke(b"{", raw=True).json
    assert error["errorType"] == "Runtime.UnmarshalError"
    assert error["errorMessage"].startswith("Unable to unmarshal input: Expecting property name")


def test_decimals_keep_their_digits_and_bytes_become_text(start):
    code = "from decimal import Decimal\ndef handler(e, c): return {'d': Decimal('1.10'), 'b': b'hi', 'n': [Decimal('3')]}"
    f = python(start, code)
    assert f.invoke().body == b'{"d": 1.10, "b": "hi", "n": [3]}'
    assert f.invoke(request_id="req-2").body == b'{"d": 1.10, "b": "hi", "n": [3]}'


def test_bytes_are_answered_as_they_are(start):
    f = python(start, "def handler(e, c): return b'\\x00\\xff'")
    answer = f.invoke()
    assert answer.body == b"\x00\xff"
    assert answer.headers["content-type"] == "application/unknown"


@pytest.mark.parametrize("version,body", [("3.11", b'"\\u00e9"'), ("3.12", '"é"'.encode())])
def test_text_beyond_ascii_is_escaped_before_3_12(start, version, body):
    f = python(start, "def handler(e, c): return 'é'", AWS_EXECUTION_ENV=f"AWS_Lambda_python{version}")
    assert f.invoke().body == body


def test_large_event_and_answer(start):
    f = python(start, "def handler(e, c): return e")
    event = {"x": "y" * 5_000_000}
    assert f.invoke(event).json == event


def test_prints_come_before_the_answer(start):
    f = python(start, "import sys\ndef handler(e, c):\n print('to out', end='')\n print('to err', file=sys.stderr)")
    f.invoke()
    assert "to out" in f.output and "to err" in f.output


def test_logging_through_the_root_logger(start):
    code = "import logging\nlog = logging.getLogger()\nlog.setLevel('INFO')\ndef handler(e, c):\n log.info('hello %d', 5)"
    f = python(start, code)
    f.invoke()
    assert re.search(r"^\[INFO\]\t\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\treq-1\thello 5$", f.output, re.M)


def test_logging_level_is_warning_by_default(start):
    f = python(start, "import logging\ndef handler(e, c):\n logging.info('quiet')\n logging.warning('loud')")
    f.invoke()
    assert "quiet" not in f.output and f.output.startswith("[WARNING]\t")


def test_json_logging(start):
    code = "import logging\ndef handler(e, c):\n logging.info('a', extra={'k': 1})\n raise ValueError('bad')"
    f = python(start, code, AWS_LAMBDA_LOG_FORMAT="JSON", AWS_LAMBDA_LOG_LEVEL="INFO")
    f.invoke()
    first, second = (json.loads(line) for line in f.output.splitlines())
    assert (first["level"], first["message"], first["requestId"], first["k"]) == ("INFO", "a", "req-1", 1)
    assert (second["level"], second["errorType"], second["errorMessage"]) == ("ERROR", "ValueError", "bad")


def test_costly_modules_are_not_imported_for_functions_that_do_not_use_them(start):
    code = "import sys\ndef handler(e, c): return [m for m in ('logging', 'socket', 'traceback', 'json', 're') if m in sys.modules]"
    f = python(start, code)
    assert f.invoke({"a": [1, 2.5, None, "\u00e9"]}).json == []


def test_search_path(start):
    f = python(start, "import sys\ndef handler(e, c): return sys.path")
    path = f.invoke().json
    assert path[1].startswith("/opt/python/lib/python3.") and path[2] == "/opt/python"
    assert not any("clients/python" in p for p in path)


def test_sys_exit_ends_the_process(start):
    f = python(start, "import sys\ndef handler(e, c): sys.exit(3)")
    f.queue(None, "req-1")
    assert f.exit_status() == 3


def test_a_connection_closed_while_idle_is_opened_again(start):
    f = python(start, "def handler(e, c): return e")
    f.api.close_idle = True
    assert f.invoke(1, "req-1").json == 1
    assert f.invoke(2, "req-2").json == 2
    assert f.connections >= 2  # the second is closed, too


def test_popular_standard_modules_work_without_site(start):
    code = """
import asyncio, concurrent.futures, http.client, sqlite3, ssl, subprocess, sys, urllib.request
async def work(): return 1
def handler(e, c):
    with concurrent.futures.ThreadPoolExecutor(2) as pool: list(pool.map(abs, [1]))
    return [asyncio.run(work()), subprocess.check_output([sys.executable, '-c', 'print(5)']).decode()]
"""
    f = python(start, code)
    assert f.invoke().json == [1, "5\n"]
