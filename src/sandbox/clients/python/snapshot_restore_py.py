"""What a function says is to be done before its snapshot is taken and after it was restored, as on Lambda.

    from snapshot_restore_py import register_before_snapshot, register_after_restore
"""

_before_snapshot = []
_after_restore = []


def register_before_snapshot(func, *args, **kwargs):
    """Has func called when the function is initialised. The last one registered is called first."""
    _before_snapshot.append((func, args, kwargs))
    return func


def register_after_restore(func, *args, **kwargs):
    """Has func called when an invocation needs the instance, before its handler. The first one registered is called first."""
    _after_restore.append((func, args, kwargs))
    return func


def get_before_snapshot():
    return _before_snapshot


def get_after_restore():
    return _after_restore
