"""Other processes: see, signal, trace, read."""

import ctypes
import glob
import os
import time

from attacking import attack, system_call


@attack
def see_processes(event, report):
    """Everything in /proc but this process and the way down to it; and any other function's secret in an environment."""
    own = {os.getpid(), os.getppid(), 1}
    for pid in sorted(int(name) for name in os.listdir("/proc") if name.isdigit()):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                command = file.read(300).replace(b"\0", b" ").decode(errors="replace")
        except OSError as error:
            report.refused(f"/proc/{pid}: {error.strerror}")
            continue
        if pid not in own or " serve" in command:
            report.escape(f"process {pid}: {command}")
        else:
            report.refused(f"own process {pid}: {command}")


@attack
def read_environments(event, report):
    """The test's secrets stand in the environments of the server and of another function, not of this one."""
    for path in glob.glob("/proc/[0-9]*/environ") + glob.glob("/proc/[0-9]*/cmdline"):
        try:
            with open(path, "rb") as file:
                content = file.read()
        except OSError as error:
            report.refused(f"{path}: {error.strerror}")
            continue
        found = [secret for secret in event["secrets"] if secret.encode() in content]
        report.escape(f"{path} holds a secret") if found else report.refused(f"{path}: {len(content)} bytes of its own")


@attack
def signal_processes(event, report):
    """kill(pid, 0) tells whether a signal would be delivered. Every process number, and each way to name all of them."""
    own = {os.getpid(), os.getppid(), 1}
    for pid in [*range(2, 70000), event.get("server_pid", 2)]:
        if pid in own:
            continue
        try:
            os.kill(pid, 0)
            report.escape(f"process {pid} may be signalled")
        except PermissionError:
            report.escape(f"process {pid} is seen, though not for signals")
        except ProcessLookupError:
            pass
    report.refused("no other process in 2 to 70000")
    if not report.escapes:  # only where nothing of the host would hear it
        try:
            os.kill(-1, 18)  # SIGCONT
            report.refused("kill(-1) reached only what this sandbox holds")
        except OSError as error:
            report.refused(f"kill(-1): {error.strerror}")


@attack
def trace_processes(event, report):
    seize, read_word = 0x4206, 1
    for pid in sorted({1, os.getppid(), event.get("server_pid", 1)} - {os.getpid()}):
        report.system_call("ptrace", seize, pid, 0, 0, label=f"ptrace {pid}")
        report.system_call("ptrace", read_word, pid, 0, 0, label=f"peek {pid}")
    # Its own child too: ptrace rewrites system calls after a filter has seen them on older kernels.
    child = os.fork()
    if child == 0:
        time.sleep(5)
        os._exit(0)
    report.system_call("ptrace", seize, child, 0, 0, label="ptrace own child")
    os.kill(child, 9)
    os.waitpid(child, 0)


@attack
def other_processes_memory(event, report):
    buffer = ctypes.create_string_buffer(64)

    class Vector(ctypes.Structure):
        _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]

    local = Vector(ctypes.addressof(buffer), 64)
    for pid in sorted({1, os.getppid(), event.get("server_pid", 1)} - {os.getpid()}):
        report.system_call("process_vm_readv", pid, ctypes.byref(local), 1, ctypes.byref(local), 1, 0, label=f"process_vm_readv {pid}")
        report.opened(f"/proc/{pid}/mem", os.O_RDWR)
        descriptor = system_call("pidfd_open", pid, 0)
        if descriptor is not None and descriptor >= 0:
            for wanted in range(12):
                report.system_call("pidfd_getfd", descriptor, wanted, 0, label=f"pidfd_getfd {pid} {wanted}")
            os.close(descriptor)
