"""The official runtime clients of the registries, each in a real sandbox as a function of provided.al2023."""

import pathlib
import re
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PACKAGES = ROOT / "build/official"

# What each client makes of an error that the function raises with the message "sad".
CLIENTS = {
    "go": "errorString",
    "rust": None,  # its own name for a boxed error, which changes with the client's version
    "python": "ValueError",
    "nodejs": "RangeError",
    "java": "java.lang.IllegalStateException",
}


@pytest.fixture(scope="module", params=CLIENTS)
def function(request, make_function):
    client = request.param
    build = subprocess.run([ROOT / "tests/official/build.sh", PACKAGES, client], capture_output=True, text=True, timeout=600)
    package = PACKAGES / f"{client}.zip"
    if not package.exists():
        reason = PACKAGES / f"{client}.reason"
        pytest.skip(f"no package with the {client} client: {reason.read_text() if reason.exists() else build.stderr}")
    # Java's virtual machine does not start in less.
    settings = {"MemorySize": 512, "Timeout": 30}
    return client, make_function(f"official-{client}", "provided.al2023", "bootstrap", package.read_bytes(), **settings)


def test_echo(function, invoke):
    _, name = function
    for event in ({"x": "é"}, {"list": [1, 2.5, None, True]}):
        response, answer = invoke(name, event)
        assert "FunctionError" not in response, answer
        assert answer["echo"] == event
        assert re.fullmatch(r"[0-9a-f-]{36}", answer["request_id"])
        assert answer["request_id"] == response["ResponseMetadata"]["RequestId"]


def test_large_payload(function, invoke):
    _, name = function
    event = {"x": "y" * 3_000_000}
    response, answer = invoke(name, event)
    assert "FunctionError" not in response
    assert answer["echo"] == event


def test_an_error_and_after_it(function, invoke):
    client, name = function
    response, error = invoke(name, {"fail": "sad"})
    assert response["StatusCode"] == 200
    assert response["FunctionError"] == "Unhandled"
    assert error["errorMessage"] == "sad"
    if CLIENTS[client]:
        assert error["errorType"] == CLIENTS[client]
    response, answer = invoke(name, {"again": 1})
    assert answer["echo"] == {"again": 1}
