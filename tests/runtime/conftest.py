import os
import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from fake_api import Runtime  # noqa: E402

CLIENTS = Path(__file__).resolve().parents[2] / "src/sandbox/clients"
PYTHON = os.environ.get("MAYFLY_TEST_PYTHON", "/usr/bin/python3")
NODE = os.environ.get("MAYFLY_TEST_NODE", "/usr/bin/node")


@pytest.fixture
def start(tmp_path):
    """start(language, files, handler, **environment) writes a package and runs the language's client on it."""
    started = []

    def make(language, files, handler, **environment):
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        interpreter = {"python": PYTHON, "nodejs": NODE}[language]
        if not shutil.which(interpreter):
            pytest.skip(f"{interpreter} is not on this machine")
        version = {"python": "python3.12", "nodejs": "nodejs20.x"}[language]
        client = CLIENTS / language
        command = {"python": [interpreter, "-B", "-S", client / "bootstrap.py"], "nodejs": [interpreter, client / "index.mjs"]}
        environment = {
            "_HANDLER": handler,
            "LAMBDA_TASK_ROOT": str(tmp_path),
            "AWS_EXECUTION_ENV": f"AWS_Lambda_{version}",
            "AWS_LAMBDA_FUNCTION_NAME": "f",
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128",
            "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/f",
            "AWS_LAMBDA_LOG_STREAM_NAME": "2026/01/01/[$LATEST]abc",
            "PATH": "/usr/bin:/bin",
            "LANG": "en_US.UTF-8",
            "TZ": ":UTC",
            **environment,
        }
        runtime = Runtime(command[language], environment, tmp_path)
        started.append(runtime)
        return runtime

    yield make
    for runtime in started:
        runtime.close()
