"""Compiled code that the managed Node.js client leaves for the next instances of its version, and takes from it."""


import hashlib

import pytest

LINES = "".join(f"function f{i}(a, b) {{ return a > {i} ? [a, 'text {i}'] : f{i - 1 if i else 0}(b + {i}, a); }}\n" for i in range(1000))
CODE = LINES + """
const lib = require('lib');
exports.handler = async (event) => {
  if (event?.fail) throw new Error('on purpose');
  return { f: f999(5000, 1), lib, main: String(require.main), here: __filename.endsWith('index.js'), resolved: require.resolve('lib').includes('node_modules'),
           same: module.require('lib') === lib, parent: require.cache[require.resolve('lib')].parent.filename.endsWith('index.js'),
           told: process.env.MAYFLY_CODE_CACHE ?? 'nothing', cwd: this === undefined };
};
"""
FILES = {"index.js": CODE, "node_modules/lib/index.js": "module.exports = { one: 1 }; // " + "x" * 2000}


def start_with(start, mode, code=b"", files=FILES):
    extra = {"MAYFLY_CODE_CACHE": mode} if mode else {}
    f = start("nodejs", files, "index.handler", **extra)
    f.api.code = code
    return f


def made(start):
    f = start_with(start, "write")
    posted = f.wait()
    assert posted.path == "/2018-06-01/runtime/mayfly/code-cache"
    answer = f.invoke()
    assert answer.kind == "response", answer.json
    return posted.body, answer.json


def test_code_is_left_before_the_first_event_and_used_by_the_next_instance(start):
    plain = start_with(start, None).invoke().json
    assert "errorMessage" not in plain, plain["errorMessage"]
    code, first = made(start)
    assert len(code) > 10_000
    second = start_with(start, "read", code).invoke().json
    assert "errorMessage" not in second, second["errorMessage"]
    assert plain == first == second
    assert plain["told"] == "nothing" and plain["here"] and plain["resolved"] and plain["same"] and plain["parent"]


def test_a_small_function_leaves_nothing(start):
    f = start_with(start, "write", files={"index.js": "exports.handler = async () => 1"})
    assert f.invoke().kind == "response"


def test_an_es_module_is_loaded_as_ever(start):
    f = start_with(start, "write", files={"index.mjs": LINES + "export const handler = async () => 1"})
    assert f.invoke().json == 1


@pytest.mark.parametrize("how", ["nothing", "short", "noise", "cut", "other text"])
def test_code_that_is_no_good_is_not_used(start, how):
    code, first = made(start)
    other = CODE.replace("5000, 1", "6000, 1")
    broken = {"nothing": b"", "short": b"\x01", "noise": bytes(range(256)) * 200, "cut": code[: len(code) // 2], "other text": code}[how]
    files = {**FILES, "index.js": other} if how == "other text" else FILES
    answer = start_with(start, "read", broken, files).invoke().json
    assert answer["f"][0] == (6000 if how == "other text" else 5000)
    assert answer["lib"] == first["lib"]


def test_errors_name_their_place(start):
    code, _ = made(start)
    places = []
    for f in (start_with(start, None), start_with(start, "read", code)):
        places.append([line for line in f.invoke({"fail": True}).json["trace"] if "index.js" in line])
    assert places[0] == places[1] and places[0]
    first = "throw new Error('first line'); exports.handler = 1;" + "//" + "x" * 2000
    f = start_with(start, "write", files={"index.js": first})
    assert any("index.js:1:7" in line for line in f.wait().json["trace"])


def test_modules_that_import_are_loaded_as_ever(start):
    code = LINES + "exports.handler = async () => (await import /* later */ ('./later.mjs')).default\n"
    f = start_with(start, "write", files={"index.js": code, "later.mjs": "export default 7"})
    assert f.invoke().json == 7


def test_a_syntax_error_is_told_as_ever(start):
    f = start_with(start, "write", files={"index.js": LINES + "\nthis is no code\n"})
    answer = f.wait()
    assert answer.path.endswith("/runtime/init/error") and answer.json["errorType"] == "Runtime.UserCodeSyntaxError"
    assert f.exit_status() == 1


def test_what_was_compiled_is_what_runs(start):
    """A text of the same length and, by the index, of the compiled one's hash: V8 looks at the length, and runs what was compiled."""
    text = LINES + "exports.handler = ((word) => async () => word)('%s');\n"
    one, other = text % "one", text % "two"
    f = start_with(start, "write", files={"index.js": one})
    code = f.wait().body
    assert f.invoke().json == "one"
    forged = code.replace(hashlib.sha1(one.encode()).hexdigest().encode(), hashlib.sha1(other.encode()).hexdigest().encode())
    assert forged != code
    assert start_with(start, "read", forged, {"index.js": other}).invoke().json == "one"
