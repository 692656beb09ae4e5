"""The examples answer as their pages say."""

import subprocess
from pathlib import Path

import pytest
from fake_api import Runtime

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.mark.parametrize("language,file,handler", [("python", "app.py", "app.handler"), ("nodejs", "index.mjs", "index.handler")])
def test_managed(start, language, file, handler):
    f = start(language, {file: (EXAMPLES / f"hello-{language}" / file).read_text()}, handler)
    answer = f.invoke({"name": "Ada"}).json
    assert answer["message"].startswith("Hello, Ada, from ") and answer["request_id"] == "req-1"
    assert f.invoke(None, "req-2").json["message"].startswith("Hello, world, from ")


def test_cpp(tmp_path):
    bootstrap = tmp_path / "bootstrap"
    source = EXAMPLES / "hello-cpp/main.cpp"
    subprocess.run(["clang++-19", "-std=c++20", "-O1", "-static", "-o", bootstrap, source], check=True)
    f = Runtime([bootstrap], {}, tmp_path)
    try:
        for request in ("req-1", "req-2"):
            answer = f.invoke({"name": "Ada"}, request).json
            assert answer["event"] == {"name": "Ada"} and answer["request_id"] == request
        assert f.connections == 1
        assert "invocation req-1 has" in f.output
    finally:
        f.close()
