"""Packages are looked through: on demand, at a deploy, and by the server's policy."""

import json
import subprocess

import botocore.exceptions
import pytest

from conftest import BINARY, ROLE, zip_bytes

KEY = "AKIA" + "Z7QWERTYUIOPASDF"
VULNERABLE = {"app.py": "def handler(e, c): return 1", "requirements.txt": "flask==2.0.1\n"}
LEAKING = {"app.py": f"KEY = '{KEY}'\ndef handler(e, c): return 1"}
ADVISORY = {"id": "PYSEC-1", "aliases": ["CVE-1"], "summary": "sessions leak", "affected": [
    {"package": {"ecosystem": "PyPI", "name": "Flask"}, "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2.2.5"}]}]}]}


@pytest.fixture
def osv(tmp_path):
    folder = tmp_path / "osv" / "PyPI"
    folder.mkdir(parents=True)
    (folder / "PYSEC-1.json").write_text(json.dumps(ADVISORY))
    return folder.parent


def create(client, name, files):
    return client.create_function(FunctionName=name, Runtime="python3.11", Handler="app.handler", Role=ROLE, Code={"ZipFile": zip_bytes(files)})


def scan(*arguments, env=None):
    return subprocess.run([str(BINARY), "scan", *map(str, arguments)], capture_output=True, text=True, timeout=60, env=env)


def test_a_folder_is_scanned_without_a_server(tmp_path, osv):
    package = tmp_path / "package"
    package.mkdir()
    for name, text in {**VULNERABLE, "config.py": LEAKING["app.py"]}.items():
        (package / name).write_text(text)
    done = scan(package, "--osv", osv, "--sbom", tmp_path / "bom.json", "--json")
    assert done.returncode == 1, done.stderr
    report = json.loads(done.stdout)
    assert [(v["id"], v["package"], v["version"], v["fixedIn"]) for v in report["vulnerabilities"]] == [("PYSEC-1", "flask", "2.0.1", "2.2.5")]
    assert [(s["kind"], s["file"], s["line"]) for s in report["secrets"]] == [("AWS access key", "config.py", 1)]
    assert KEY not in done.stdout
    bill = json.loads((tmp_path / "bom.json").read_text())
    assert bill["bomFormat"] == "CycloneDX" and [c["purl"] for c in bill["components"]] == ["pkg:pypi/flask@2.0.1"]
    shown = scan(package, "--osv", osv)
    assert "PYSEC-1" in shown.stdout and "2.2.5" in shown.stdout and "config.py:1" in shown.stdout
    (package / "config.py").unlink()
    (package / "requirements.txt").write_text("flask==2.2.5\n")
    assert scan(package, "--osv", osv).returncode == 0


def test_a_deployed_function_is_scanned_and_the_log_warns(new_server):
    server = new_server().start()
    create(server.client(), "leaking", LEAKING)
    assert "app.py:1 holds an AWS access key" in server.log_text() and KEY not in server.log_text()
    done = scan("leaking", "--data", server.data_dir / "data", "--json", env=server.env)
    assert done.returncode == 1, done.stderr
    assert json.loads(done.stdout)["secrets"][0]["file"] == "app.py"


def test_a_policy_refuses_packages(new_server, osv):
    server = new_server({"scan.policy": "refuse", "scan.osv": str(osv)}).start()
    client = server.client()
    for files, words in ((VULNERABLE, "flask 2.0.1 has PYSEC-1, fixed in 2.2.5"), (LEAKING, "app.py:1 holds an AWS access key")):
        with pytest.raises(botocore.exceptions.ClientError) as refused:
            create(client, "refused", files)
        assert refused.value.response["Error"]["Code"] == "InvalidParameterValueException"
        assert words in refused.value.response["Error"]["Message"]
    create(client, "fine", {"app.py": "def handler(e, c): return 1"})
