"""SnapStart's hooks in the managed Python client: when they run, in which order, and what becomes of one that fails."""

HOOKS = """
import os
from snapshot_restore_py import register_before_snapshot, register_after_restore
calls = []
register_before_snapshot(calls.append, 'before 1')
@register_before_snapshot
def second():
    calls.append('before 2')
register_after_restore(lambda *a, **k: calls.append(['after 1', a, k]), 1, b=2)
@register_after_restore
def last():
    calls.append('after 2')
def handler(event, context):
    return calls
"""
SNAP_START = {"AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start"}


def test_hooks_run_before_the_rest_and_after_the_restore(start):
    f = start("python", {"app.py": HOOKS}, "app.handler", **SNAP_START)
    assert f.resting.wait(20)
    assert f.polls.empty()  # no event is asked for before the restore
    f.restored.set()
    assert f.invoke().json == ["before 2", "before 1", ["after 1", [1], {"b": 2}], "after 2"]


def test_without_snap_start_no_hook_runs(start):
    f = start("python", {"app.py": HOOKS}, "app.handler", AWS_LAMBDA_INITIALIZATION_TYPE="on-demand")
    assert f.invoke().json == []
    assert not f.resting.is_set()


def test_a_function_without_hooks_rests_all_the_same(start):
    f = start("python", {"app.py": "def handler(e, c): return 1"}, "app.handler", **SNAP_START)
    assert f.resting.wait(20)
    f.restored.set()
    assert f.invoke().json == 1


def test_a_package_may_bring_its_own_hooks_module(start):
    own = "def get_before_snapshot(): return []\ndef get_after_restore(): return [(print, ('own hook',), {})]\n"
    code = "import snapshot_restore_py\ndef handler(e, c): return snapshot_restore_py.__file__"
    f = start("python", {"app.py": code, "snapshot_restore_py.py": own}, "app.handler", **SNAP_START)
    f.restored.set()
    assert f.invoke().json.endswith("/snapshot_restore_py.py")
    assert "own hook" in f.output


def test_a_hook_that_fails_before_the_snapshot_is_an_error_of_the_initialization(start):
    code = "import snapshot_restore_py as s\n@s.register_before_snapshot\ndef hook(): raise KeyError('x')\ndef handler(e, c): pass"
    f = start("python", {"app.py": code}, "app.handler", **SNAP_START)
    answer = f.wait()
    assert answer.path.endswith("/runtime/init/error")
    assert answer.json["errorType"] == "Runtime.BeforeSnapshotError" and answer.json["errorMessage"] == "KeyError: 'x'"
    assert f.exit_status() == 64 and not f.resting.is_set()


def test_a_hook_that_fails_after_the_restore_is_an_error_of_the_restore(start):
    code = "import snapshot_restore_py as s\n@s.register_after_restore\ndef hook(): raise ValueError('y')\ndef handler(e, c): pass"
    f = start("python", {"app.py": code}, "app.handler", **SNAP_START)
    f.restored.set()
    answer = f.wait()
    assert answer.path.endswith("/runtime/restore/error")
    assert answer.json["errorType"] == "Runtime.AfterRestoreError"
    assert answer.headers["lambda-runtime-function-error-type"] == "Runtime.AfterRestoreError"
    assert f.exit_status() == 65
