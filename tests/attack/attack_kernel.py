"""The kernel: interfaces, old system calls, its secrets."""

import ctypes
import errno
import fcntl
import glob
import mmap
import os
import platform
import resource
import struct

from attacking import attack, libc, report_from_child, system_call


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
