"""What attacks are made with: their register, what they report, raw system calls, children, connections."""

import ctypes
import errno
import os
import platform
import socket

libc = ctypes.CDLL(None, use_errno=True)
ATTACKS = {}

# Numbers of system calls: x86_64, aarch64. Those from 424 on are the same everywhere.
NUMBERS = {
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51), "ptrace": (101, 117),
    "unshare": (272, 97), "setns": (308, 268), "clone3": (435, 435), "bpf": (321, 280), "keyctl": (250, 219),
    "add_key": (248, 217), "perf_event_open": (298, 241), "userfaultfd": (323, 282), "io_uring_setup": (425, 425),
    "open_by_handle_at": (304, 265), "name_to_handle_at": (303, 264), "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271), "pidfd_open": (434, 434), "pidfd_getfd": (438, 438), "kcmp": (312, 272),
    "open_tree": (428, 428), "move_mount": (429, 429), "fsopen": (430, 430), "mount_setattr": (442, 442),
    "init_module": (175, 105), "finit_module": (313, 273), "kexec_load": (246, 104), "reboot": (169, 142),
    "settimeofday": (164, 170), "sethostname": (170, 161), "swapon": (167, 224), "acct": (163, 89),
    "syslog": (103, 116), "fanotify_init": (300, 262), "iopl": (172, None), "modify_ldt": (154, None), "quotactl": (179, 60),
    "personality": (135, 92), "memfd_secret": (447, 447), "clone": (56, 220), "lookup_dcookie": (212, 18),
}
COLUMN = 1 if platform.machine() == "aarch64" else 0

CLONE_NAMESPACES = {"mount": 0x00020000, "cgroup": 0x02000000, "uts": 0x04000000, "ipc": 0x08000000, "user": 0x10000000,
                    "pid": 0x20000000, "net": 0x40000000, "time": 0x00000080}


class Report:
    """What was tried: escapes and refusals."""

    def __init__(self):
        self.escapes, self.refusals = [], []

    def escape(self, text):
        self.escapes.append(str(text)[:300])

    def refused(self, text):
        self.refusals.append(str(text)[:200])

    def system_call(self, name, *arguments, label=None):
        """An escape where the call works. Any error is a refusal, but EFAULT, EINVAL and EBADF mean that the kernel did begin to
        look at the arguments, so they are spelled out in the evidence."""
        result = system_call(name, *arguments)
        what = label or name
        if result is None:
            self.refused(f"{what}: not on this architecture")
        elif result >= 0:
            self.escape(f"{what} = {result}")
        else:
            self.refused(f"{what}: {errno.errorcode.get(-result, -result)}")
        return result

    def opened(self, path, flags=os.O_RDONLY):
        """An escape where the file opens."""
        try:
            fd = os.open(path, flags | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as error:
            self.refused(f"{path}: {errno.errorcode.get(error.errno, error.errno)}")
            return
        null = os.fstat(fd).st_rdev == os.makedev(1, 3)
        os.close(fd)
        if null:
            self.refused(f"{path}: covered by /dev/null")
        else:
            self.escape(f"opened {path}")

    def answer(self):
        return {"escaped": bool(self.escapes), "evidence": "; ".join((self.escapes or self.refusals)[:40]),
                "tried": len(self.escapes) + len(self.refusals)}


def system_call(name, *arguments):
    """The result, or the negative error number; None where this architecture lacks the call."""
    number = NUMBERS[name][COLUMN]
    if number is None:
        return None
    ctypes.set_errno(0)
    converted = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    result = libc.syscall(ctypes.c_long(number), *converted)
    return result if result >= 0 else -ctypes.get_errno()


def attack(function):
    ATTACKS[function.__name__] = function
    return function


def in_child(body, seconds=10):
    """Runs `body` in a forked child and returns what it answered, or how it died: some attacks change or end their process."""
    read_end, write_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(read_end)
            os.write(write_end, str(body()).encode()[:4000])
        except BaseException as error:  # whatever happens, the child must not go on as a second runtime
            os.write(write_end, f"refused: {error!r}".encode()[:4000])
        finally:
            os._exit(0)
    os.close(write_end)
    with os.fdopen(read_end, "rb") as pipe:
        text = pipe.read().decode(errors="replace")
    _, status = os.waitpid(pid, 0)
    return text or f"refused: ended with status {status}"


def report_from_child(report, label, body):
    """`body` returns "" for refused, else the evidence of an escape."""
    text = in_child(lambda: body() or "refused")
    if text.startswith("refused"):
        report.refused(f"{label}: {text}")
    else:
        report.escape(f"{label}: {text}")


def try_connect(report, family, address, label, seconds=0.4, refusal_is_contact=False):
    try:
        with socket.socket(family, socket.SOCK_STREAM) as client:
            client.settimeout(seconds)
            client.connect(address)
            report.escape(f"connected to {label}")
    except ConnectionRefusedError as error:
        if refusal_is_contact:
            report.escape(f"{label} answered with a reset: packets get there")
        else:
            report.refused(f"{label}: {error}")
    except OSError as error:
        report.refused(f"{label}: {error}")
