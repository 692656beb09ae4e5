"""The managed Node.js client, driven through a fake Runtime API."""

import base64
import json
import re

import pytest


def node(start, code, handler="index.handler", name="index.mjs", more=None, **environment):
    return start("nodejs", {name: code, **(more or {})}, handler, **environment)


def test_answers_several_invocations_over_one_connection(start):
    f = node(start, "let n = 0; export const handler = async (event) => ({ n: ++n, echo: event });")
    for n in (1, 2, 3):
        answer = f.invoke({"a": "é☃"}, f"req-{n}")
        assert answer.kind == "response"
        assert answer.json == {"n": n, "echo": {"a": "é☃"}}
        assert answer.headers["content-type"] == "application/json"
    assert f.connections == 1


@pytest.mark.parametrize(
    "name,code,handler,more",
    [
        ("index.mjs", "export const handler = async () => 1", "index.handler", {}),
        ("index.js", "exports.handler = async () => 1", "index.handler", {}),
        ("index.cjs", "exports.handler = async () => 1", "index.handler", {}),
        ("index.js", "export const handler = async () => 1", "index.handler", {"package.json": '{"type":"module"}'}),
        ("src/lib/app.js", "exports.handler = async () => 1", "src/lib/app.handler", {}),
        ("src/app.js", "export const handler = async () => 1", "src/app.handler", {"package.json": '{"type":"module"}'}),
        ("app.js", "exports.a = { b: { handler: async () => 1 } }", "app.a.b.handler", {}),
        ("index.mjs", "const one = await Promise.resolve(1); export const handler = () => Promise.resolve(one)",
         "index.handler", {}),
        ("index.mjs", "import lib from 'lib'; export const handler = async () => lib", "index.handler",
         {"node_modules/lib/index.js": "module.exports = 1"}),
    ],
)  # fmt: skip
def test_forms_of_modules(start, name, code, handler, more):
    assert node(start, code, handler, name, more).invoke().json == 1


@pytest.mark.parametrize(
    "body,answer",
    [
        ("(e, c, callback) => callback(null, 5)", 5),
        ("(e, c, callback) => { setTimeout(() => callback(null, 5), 10) }", 5),
        ("(e, c) => c.succeed(5)", 5),
        ("(e, c) => c.done(null, 5)", 5),
        ("(e, c) => { setTimeout(() => c.succeed(5), 10) }", 5),
        ("() => 5", None),  # a plain value of a handler that is not async is not an answer
        ("async () => undefined", None),
        ("(e, c, callback) => { c.callbackWaitsForEmptyEventLoop = false; setInterval(() => {}, 1000); callback(null, 5) }", 5),
    ],
)
def test_ways_to_answer(start, body, answer):
    f = node(start, f"exports.handler = {body}", name="index.js")
    assert f.invoke().json == answer
    assert f.invoke(request_id="req-2").json == answer


def test_a_callback_waits_for_the_event_loop(start):
    code = "exports.handler = (e, c, callback) => { setTimeout(() => console.log('later'), 50); callback(null, 1) }"
    f = node(start, code, name="index.js")
    f.invoke()
    assert "later" in f.output


@pytest.mark.parametrize(
    "body",
    [
        "async () => { throw new TypeError('bad') }",
        "() => { throw new TypeError('bad') }",
        "(e, c, callback) => callback(new TypeError('bad'))",
        "(e, c) => c.fail(new TypeError('bad'))",
    ],
)
def test_errors_are_posted_and_the_runtime_goes_on(start, body):
    f = node(start, f"exports.handler = {body}", name="index.js")
    for request in ("req-1", "req-2"):
        answer = f.invoke(request_id=request)
        assert answer.kind == "error"
        assert answer.headers["lambda-runtime-function-error-type"] == "TypeError"
        assert (answer.json["errorType"], answer.json["errorMessage"]) == ("TypeError", "bad")
        assert answer.json["trace"][0] == "TypeError: bad"
        assert "index.js" in answer.json["trace"][1]
    assert re.search(r"\treq-1\tERROR\tInvoke Error \t\{\"errorType\":\"TypeError\",\"errorMessage\":\"bad\",", f.output)


def test_an_error_that_is_no_error(start):
    f = node(start, "exports.handler = async () => { throw 'text' }", name="index.js")
    assert f.invoke().json == {"errorType": "string", "errorMessage": "text", "trace": []}


def test_a_result_that_cannot_be_written(start):
    f = node(start, "exports.handler = async () => { const a = {}; a.a = a; return a }", name="index.js")
    answer = f.invoke()
    assert (answer.kind, answer.json["errorMessage"]) == ("error", "Unable to stringify response body")
    f.queue(None, "req-2")
    assert f.wait().kind == "error"


def test_context(start):
    code = """export const handler = async (event, c) => [c.functionName, c.functionVersion, c.memoryLimitInMB, c.awsRequestId,
      c.logGroupName, c.logStreamName, c.invokedFunctionArn, c.clientContext, c.identity,
      c.getRemainingTimeInMillis() > 1000 && c.getRemainingTimeInMillis() <= 5000, c.callbackWaitsForEmptyEventLoop,
      typeof c.done, typeof c.succeed, typeof c.fail]"""
    f = node(start, code)
    answer = f.invoke(
        timeout_ms=5000,
        **{
            "Lambda-Runtime-Client-Context": json.dumps({"custom": {"k": 1}}),
            "Lambda-Runtime-Cognito-Identity": json.dumps({"cognitoIdentityId": "id"}),
        },
    )
    assert answer.json == [
        "f", "$LATEST", "128", "req-1", "/aws/lambda/f", "2026/01/01/[$LATEST]abc",
        "arn:aws:lambda:us-east-1:000000000000:function:f", {"custom": {"k": 1}}, {"cognitoIdentityId": "id"},
        True, True, "function", "function", "function",
    ]  # fmt: skip


def test_trace_id_is_set_and_removed(start):
    f = node(start, "export const handler = async () => process.env._X_AMZN_TRACE_ID ?? null")
    assert f.invoke(**{"Lambda-Runtime-Trace-Id": "Root=1-2"}).json == "Root=1-2"
    assert f.invoke(request_id="req-2").json is None


INIT_ERRORS = [
    ("export const handler = 1", "nope.handler", "Runtime.ImportModuleError", r"Error: Cannot find module 'nope'"),
    ("import 'missing-thing'", "index.handler", "Error", r"Cannot find package 'missing-thing' imported from "),
    ("export const other = 1", "index.handler", "Runtime.HandlerNotFound", r"index.handler is undefined or not exported$"),
    ("export const handler = 1", "index.handler", "Runtime.HandlerNotFound", r"index.handler is not a function$"),
    ("export const handler = (", "index.handler", "Runtime.UserCodeSyntaxError", r"SyntaxError: Unexpected end of input$"),
    ("export const handler = 1", "index", "Runtime.MalformedHandlerName", r"Bad handler$"),
    ("export const handler = 1", "../index.handler", "Runtime.MalformedHandlerName", r"'../index.handler' is not a valid"),
    ("throw new RangeError('no luck')", "index.handler", "RangeError", r"no luck$"),
    ("await Promise.reject(new RangeError('no luck'))", "index.handler", "RangeError", r"no luck$"),
    ("Promise.reject(new Error('lost')); await new Promise((r) => setTimeout(r, 500)); export const handler = 1",
     "index.handler", "Runtime.UnhandledPromiseRejection", r"Error: lost$"),
]  # fmt: skip


@pytest.mark.parametrize("code,handler,kind,message", INIT_ERRORS, ids=[e[2] + str(i) for i, e in enumerate(INIT_ERRORS)])
def test_init_errors(start, code, handler, kind, message):
    f = node(start, code, handler)
    posted = f.wait()
    assert posted.path == "/2018-06-01/runtime/init/error"
    assert posted.headers["lambda-runtime-function-error-type"] == kind
    assert posted.json["errorType"] == kind
    assert re.match(message, posted.json["errorMessage"].splitlines()[0]), posted.json
    assert f.exit_status() != 0
    assert "\tundefined\tERROR\t" in f.output


def test_an_uncaught_exception_answers_and_ends(start):
    f = node(start, "export const handler = () => new Promise(() => setTimeout(() => { throw new Error('late') }, 5))")
    answer = f.invoke()
    assert (answer.kind, answer.json["errorType"], answer.json["errorMessage"]) == ("error", "Error", "late")
    assert f.exit_status() == 129


def test_an_unhandled_rejection_answers_and_ends(start):
    code = "export const handler = () => new Promise(() => { Promise.reject(new Error('lost')); setTimeout(() => {}, 500) })"
    f = node(start, code)
    answer = f.invoke()
    assert answer.json["errorType"] == "Runtime.UnhandledPromiseRejection"
    assert answer.json["errorMessage"] == "Error: lost"
    assert answer.json["trace"][0] == "Runtime.UnhandledPromiseRejection: Error: lost"
    assert f.exit_status() == 128


def test_console(start):
    code = """export const handler = async () => {
      console.log('one %s', 'two', { a: 1 }); console.info('i'); console.warn('w'); console.error('e\\nf');
      console.debug('d'); console.trace('t'); }"""
    f = node(start, code)
    f.invoke()
    time = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\treq-1\t"
    levels = ["INFO\tone two { a: 1 }", "INFO\ti", "WARN\tw", "ERROR\te\rf", "DEBUG\td", "TRACE\tt"]
    assert re.fullmatch("".join(time + re.escape(line) + "\n" for line in levels), f.output, re.M)


def test_console_as_json(start):
    code = "export const handler = async () => { console.log({ a: 1 }); console.debug('no'); console.error(new Error('x')) }"
    f = node(start, code, AWS_LAMBDA_LOG_FORMAT="JSON", AWS_LAMBDA_LOG_LEVEL="INFO")
    f.invoke()
    first, second = (json.loads(line) for line in f.output.splitlines())
    assert (first["level"], first["requestId"], first["message"]) == ("INFO", "req-1", {"a": 1})
    assert (second["level"], second["message"]["errorMessage"]) == ("ERROR", "x")


def test_large_event_and_answer(start):
    f = node(start, "export const handler = async (event) => event")
    event = {"x": "é" * 2_500_000}
    assert f.invoke(event).json == event


def test_a_connection_closed_while_idle_is_opened_again(start):
    f = node(start, "export const handler = async (event) => event")
    f.api.close_idle = True
    assert f.invoke(1, "req-1").json == 1
    assert f.invoke(2, "req-2").json == 2


def test_callback_handlers_are_refused_from_24_on(start):
    f = node(start, "export const handler = (e, c, done) => done()", AWS_EXECUTION_ENV="AWS_Lambda_nodejs24.x")
    assert f.wait().json["errorType"] == "Runtime.CallbackHandlerDeprecated"


STREAM = "export const handler = awslambda.streamifyResponse(async (event, stream, context) => { %s })"


def test_streaming(start):
    f = node(start, STREAM % "stream.setContentType('text/plain'); stream.write('a'); stream.write({ b: 1 }); stream.end('c')")
    for request in ("req-1", "req-2"):
        answer = f.invoke(request_id=request)
        assert answer.kind == "response"
        assert answer.headers["lambda-runtime-function-response-mode"] == "streaming"
        assert answer.headers["content-type"] == "text/plain"
        assert answer.headers["transfer-encoding"] == "chunked"
        assert answer.body == b'a{"b":1}c'
        assert answer.trailers == {}
    assert f.connections == 1


def test_streaming_of_much_by_pipeline(start):
    code = """import { pipeline } from 'node:stream/promises'; import { Readable } from 'node:stream';
    export const handler = awslambda.streamifyResponse(async (event, stream) => {
      await pipeline(Readable.from((function* () { for (let i = 0; i < 100; ++i) yield Buffer.alloc(100000, 65); })()), stream);
    })"""
    f = node(start, code)
    assert f.invoke().body == b"A" * 10_000_000


def test_streaming_sends_each_piece_at_once(start):
    code = "stream.write('a'); await new Promise((r) => setTimeout(r, 50)); stream.write('b'); stream.end()"
    f = node(start, STREAM % code)
    assert f.invoke().body == b"ab"
    assert f.chunks == [b"a", b"b"]


def test_streaming_of_nothing(start):
    assert node(start, STREAM % "stream.end()").invoke().body == b""


def test_http_response_stream(start):
    code = """stream = awslambda.HttpResponseStream.from(stream, { statusCode: 201, headers: { a: 'b' } });
      stream.write('body'); stream.end()"""
    answer = node(start, STREAM % code).invoke()
    assert answer.headers["content-type"] == "application/vnd.awslambda.http-integration-response"
    assert answer.body == b'{"statusCode":201,"headers":{"a":"b"}}' + b"\0" * 8 + b"body"


def test_a_stream_that_fails_midway_tells_so_in_trailers(start):
    f = node(start, STREAM % "stream.write('a'); await new Promise((r) => setTimeout(r, 20)); throw new TypeError('bad')")
    for request in ("req-1", "req-2"):
        answer = f.invoke(request_id=request)
        assert (answer.kind, answer.body) == ("response", b"a")
        assert answer.trailers["lambda-runtime-function-error-type"] == "TypeError"
        error = json.loads(base64.b64decode(answer.trailers["lambda-runtime-function-error-body"]))
        assert (error["errorType"], error["errorMessage"]) == ("TypeError", "bad")


def test_a_stream_that_fails_before_its_first_byte_is_an_error(start):
    answer = node(start, STREAM % "throw new TypeError('bad')").invoke()
    assert (answer.kind, answer.json["errorType"]) == ("error", "TypeError")


def test_a_stream_that_is_never_ended(start):
    answer = node(start, STREAM % "stream.write('a')").invoke()
    error = json.loads(base64.b64decode(answer.trailers["lambda-runtime-function-error-body"]))
    assert error["errorMessage"] == "Response stream is not finished."


def test_an_uncaught_exception_in_a_stream(start):
    code = "stream.write('a'); await new Promise(() => setTimeout(() => { throw new Error('late') }, 20))"
    f = node(start, STREAM % code)
    assert f.invoke().trailers["lambda-runtime-function-error-type"] == "Error"
    assert f.exit_status() == 129


def test_a_streaming_handler_that_is_not_async(start):
    f = node(start, "export const handler = awslambda.streamifyResponse((event, stream) => {})")
    answer = f.invoke()
    assert answer.json["errorMessage"] == "Streaming does not support non-async handlers."
