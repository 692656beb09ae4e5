"""Run as an ordinary user the server works, too: weaker limits, no outbound network, and it says so."""

import json
import os
import shutil
import tempfile

import pytest

NOBODY = 65534
FUNCTION = {"app.py": "import os\ndef handler(event, context):\n    return {'uid': os.getuid(), 'n': event['n']}\n"}


@pytest.mark.skipif(os.getuid() != 0, reason="takes root to become another user")
def test_an_ordinary_user_deploys_and_invokes(tools):
    # Nothing below a folder that only its owner may enter: the server is somebody else.
    folder = tempfile.mkdtemp(prefix="mayfly-user-")
    os.chmod(folder, 0o755)
    data = os.path.join(folder, "home")
    os.mkdir(data)
    os.chown(data, NOBODY, NOBODY)
    binary = shutil.copy(tools.binary, os.path.join(folder, "mayfly"))
    refused = tools.server(data, user=NOBODY, binary=binary)
    server = tools.server(data, {"sandbox.allow_degraded": "true"}, user=NOBODY, binary=binary)
    try:
        with pytest.raises(RuntimeError, match="sandbox.allow_degraded=true"):
            refused.start()
        client = server.start().client()
        client.create_function(FunctionName="hello", Runtime="python3.11", Handler="app.handler", Role=tools.role, Timeout=20,
                               Code={"ZipFile": tools.zip_bytes(FUNCTION)})
        for n in range(2):
            response = client.invoke(FunctionName="hello", Payload=json.dumps({"n": n}))
            assert "FunctionError" not in response
            assert json.load(response["Payload"])["n"] == n
        assert "network.nat" in server.log_text()
    finally:
        if server.process:
            assert server.stop() == 0
        shutil.rmtree(folder, ignore_errors=True)
