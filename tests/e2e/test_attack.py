"""What a hostile function tries (tests/attack), and that it fails while the server and its neighbours go on.

docs/security.md names these tests beside the promises that they enforce.
"""

import base64
import concurrent.futures
import contextlib
import ctypes
import hashlib
import os
import pathlib
import re
import secrets
import socket
import threading
import time
import urllib.request

import pytest

from conftest import ROLE, wait_until, zip_bytes

ATTACKS = {path.name: path.read_text() for path in (pathlib.Path(__file__).resolve().parents[1] / "attack").glob("*.py")}
NEIGHBOUR = """
import os
count = 0
def handler(event, context):
    global count
    count += 1
    return {'count': count, 'instance': os.environ['AWS_LAMBDA_LOG_STREAM_NAME']}
"""
CANARY = "mayfly-canary-" + secrets.token_hex(6)
SECRET = secrets.token_hex(16)

# Attacks that must be refused, nothing more.
REFUSED = ["read_host_files", "find_canary", "link_escape", "proc_root", "inherited_descriptors", "open_by_handle", "write_read_only_places",
           "dev_shm_and_devices", "make_devices", "see_processes", "read_environments", "signal_processes", "trace_processes",
           "other_processes_memory", "new_namespaces", "join_namespaces", "mounts", "unmounts", "change_root", "become_root", "setuid_file",
           "kernel_interfaces", "old_system_calls", "proc_and_sys_writes", "kernel_secrets", "terminal_injection", "core_dumps", "reach_daemon",
           "reach_metadata", "reach_networks", "other_runtime_apis", "local_sockets", "raw_sockets", "change_network", "sparse_file",
           "exhaust_descriptors", "exhaust_sockets", "abuse_runtime_api", "raise_priority"]
# Of these, by an instance that was initialised ahead for SnapStart.
REFUSED_WHEN_RESTORED = ["inherited_descriptors", "see_processes", "read_environments", "signal_processes", "other_processes_memory", "new_namespaces",
                         "become_root", "write_read_only_places"]
# Attacks which may also end in the death of their own instance.
REFUSED_OR_KILLED = ["fork_bomb", "thread_bomb", "memory_bomb", "memory_bomb_in_children", "shared_memory_bomb", "fill_disks", "exhaust_inodes",
                     "log_flood"]

INSTANCE_LINKS = ("10.213.", "10.214.", "10.215.", "10.216.")


def host_addresses():
    """Every IPv4 address of this machine but loopback; of those on the links of instances, which may be hundreds, some."""
    found, previous = set(), ""
    for line in pathlib.Path("/proc/net/fib_trie").read_text().splitlines():
        if "host LOCAL" in line:
            found.add(previous.split()[-1])
        previous = line
    links = sorted(address for address in found if address.startswith(INSTANCE_LINKS))
    return sorted(address for address in found if not address.startswith(("127.", *INSTANCE_LINKS))) + links[:4]


def host_commands():
    """The command line and name of each process of this machine."""
    commands = {}
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                commands[int(entry.name)] = (entry / "cmdline").read_bytes().decode(errors="replace") + (entry / "comm").read_text()
    return commands


def tables():
    """The packet filter's tables of every server of this machine, by the library that the server uses."""
    try:
        library = ctypes.CDLL("libnftables.so.1")
    except OSError:
        return set()
    library.nft_ctx_new.restype = ctypes.c_void_p
    library.nft_ctx_get_output_buffer.restype = ctypes.c_char_p
    context = ctypes.c_void_p(library.nft_ctx_new(0))
    library.nft_ctx_buffer_output(context)
    library.nft_ctx_buffer_error(context)
    library.nft_run_cmd_from_buffer(context, b"list tables")
    listed = library.nft_ctx_get_output_buffer(context).decode()
    library.nft_ctx_free(context)
    return {line for line in listed.splitlines() if "mayfly_" in line}


def forwarding():
    return pathlib.Path("/proc/sys/net/ipv4/ip_forward").read_text().strip()


def resources(server):
    """What a server may not leave on its host: links, mounts, control groups, tables. Other servers come and go beside it: its own are
    told by names made from the path of its state (launcher_prepare.cpp, network_link.cpp)."""
    state = str((server.data_dir / "data" / "sandboxes").resolve())
    suffix = hashlib.sha256(state.encode()).hexdigest()[:12]
    prefix = 2166136261
    for byte in suffix.encode():
        prefix = (prefix ^ byte) * 16777619 & 0xFFFFFFFF
    found = {
        "links": {name for name in os.listdir("/sys/class/net") if name.startswith(f"mfy{prefix & 0xFFFFF:05x}")},
        "mounts": {line.split()[4] for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines() if state in line},
        "control groups": {folder for folder, _, _ in os.walk("/sys/fs/cgroup") if f"mayfly-{suffix}" in folder},
        "tables": {line for line in tables() if line.endswith(f"mayfly_{suffix}")},
    }
    return {kind: names for kind, names in found.items() if names}


def resident_mb(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) // 1024
    return 0


def ready_made(server):
    """How many instances of this server came from sandboxes that were made ahead."""
    with urllib.request.urlopen(f"{server.endpoint}/metrics") as response:
        text = response.read().decode()
    return int(float(re.search(r'mayfly_cold_start_sandboxes_total\{sandbox="ready"\} (\S+)', text).group(1)))


@pytest.fixture(scope="module")
def attacker(make_function, lambda_client, server, invoke):
    """Strikes from a sandbox that was made ahead, which is what most functions get."""
    name = make_function("attack-attacker", "python3.11", "attacks.handler", ATTACKS, Timeout=60, MemorySize=512)

    def started_from_ready():
        before = ready_made(server)
        lambda_client.update_function_configuration(FunctionName=name, Description=secrets.token_hex(4))
        lambda_client.get_waiter("function_updated_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1})
        invoke(name, {"attack": "none"})
        return ready_made(server) > before

    wait_until(started_from_ready, what="an attacker in a ready sandbox")
    return name


@pytest.fixture(scope="module")
def neighbour(make_function, invoke):
    name = make_function("attack-neighbour", "python3.11", "app.handler", {"app.py": NEIGHBOUR}, Timeout=10,
                         Environment={"Variables": {"PASSWORD": SECRET}})
    invoke(name)
    return name


@pytest.fixture(scope="module")
def canary(server):
    """A file of the host, where the server keeps its own."""
    path = server.data_dir / CANARY
    path.write_text("of the host")
    return path


@pytest.fixture
def listener():
    """An abstract socket of the host."""
    name = "mayfly-" + secrets.token_hex(6)
    with socket.socket(socket.AF_UNIX) as server_socket:
        server_socket.bind("\0" + name)
        server_socket.listen(1)
        yield name


@pytest.fixture
def undisturbed(server, lambda_client, neighbour, invoke):
    """The neighbour's instance and the server are the same after the test as before it."""
    _, before = invoke(neighbour)
    yield
    assert server.process.poll() is None, "the server ended"
    response, after = invoke(neighbour)
    assert "FunctionError" not in response
    assert after["instance"] == before["instance"] and after["count"] > before["count"], "the neighbour's instance was lost"
    assert neighbour in [function["FunctionName"] for function in lambda_client.list_functions()["Functions"]]


@pytest.fixture
def strike(server, attacker, canary, listener, invoke):
    def call(attack, function=attacker, **settings):
        event = {"attack": attack, "files": ["/etc/shadow", str(canary), str(server.data_dir), str(pathlib.Path(__file__).resolve())],
                 "canary_name": CANARY, "server_pid": server.pid, "secrets": [SECRET], "ports": [server.port],
                 "addresses": host_addresses(), "abstract": [listener], **settings}
        return invoke(function, event)

    return call


@pytest.mark.parametrize("attack", REFUSED)
def test_attack_is_refused(attack, strike, undisturbed):
    response, payload = strike(attack)
    assert "FunctionError" not in response, payload
    assert payload["tried"] > 0
    assert not payload["escaped"], payload["evidence"]


@pytest.fixture(scope="module")
def restored(make_function, lambda_client, invoke):
    """An attacker that was initialised ahead and restored, with another one of its version and one of another function at rest beside it."""
    for name, files in (("attack-beside", {"attacks.py": NEIGHBOUR}), ("attack-restored", ATTACKS)):
        make_function(name, "python3.11", "attacks.handler", files, Timeout=60, MemorySize=512, SnapStart={"ApplyOn": "PublishedVersions"},
                      Environment={"Variables": {"PASSWORD": SECRET} if name == "attack-beside" else {}})
        version = lambda_client.publish_version(FunctionName=name)["Version"]
        lambda_client.get_waiter("published_version_active").wait(FunctionName=name, Qualifier=version, WaiterConfig={"Delay": 1})
    response, _ = invoke("attack-restored", {"attack": "none"}, Qualifier=version, LogType="Tail")
    assert "Restore Duration" in base64.b64decode(response["LogResult"]).decode()
    return f"attack-restored:{version}"


@pytest.mark.parametrize("attack", REFUSED_WHEN_RESTORED)
def test_attack_of_a_restored_instance_is_refused(attack, strike, restored, undisturbed):
    response, payload = strike(attack, function=restored)
    assert "FunctionError" not in response, payload
    assert payload["tried"] > 0
    assert not payload["escaped"], payload["evidence"]


@pytest.mark.parametrize("attack", REFUSED_OR_KILLED)
def test_exhaustion_stays_inside(attack, strike, undisturbed, server):
    before = resident_mb(server.pid)
    response, payload = strike(attack)
    if "FunctionError" not in response:
        assert not payload["escaped"], payload["evidence"]
    else:
        assert "errorType" in payload, payload
    assert resident_mb(server.pid) < before + 400, "the attack was paid for by the server's memory"


def test_memory_bomb_is_told_apart_and_the_next_invocation_served(strike, attacker, undisturbed):
    response, payload = strike("memory_bomb")
    assert response["FunctionError"] == "Unhandled"
    assert payload["errorType"] in ("Runtime.OutOfMemory", "Runtime.ExitError"), payload
    response, _ = strike("raw_sockets")
    assert "FunctionError" not in response


def test_endless_fork_bomb_ends_with_the_timeout(make_function, strike, undisturbed, lambda_client):
    name = make_function("attack-forks", "python3.11", "attacks.handler", ATTACKS, Timeout=3, MemorySize=512)
    before = len(host_commands())
    response, payload = strike("fork_bomb_unbounded", function=name)
    assert response["FunctionError"] == "Unhandled", payload
    wait_until(lambda: len(host_commands()) <= before + 10, what="the end of the bomb's processes")


def test_neighbour_is_served_while_all_cpus_burn(strike, neighbour, invoke, undisturbed):
    started = threading.Event()

    def burn():
        started.set()
        return strike("burn_cpu", seconds=4)

    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        burning = pool.submit(burn)
        started.wait()
        slowest = 0.0
        while not burning.done():
            begun = time.monotonic()
            response, _ = invoke(neighbour)
            slowest = max(slowest, time.monotonic() - begun)
            assert "FunctionError" not in response
        assert not burning.result()[1]["escaped"]
    assert slowest < 5, f"the neighbour waited {slowest:.1f} s"


def test_instance_of_another_function_cannot_be_reached(make_function, strike, undisturbed):
    target = make_function("attack-target", "python3.11", "attacks.handler", ATTACKS, Timeout=30)
    response, payload = strike("own_address", function=target)
    assert "FunctionError" not in response
    addresses = [address for address in payload["evidence"].split(",") if address]
    if not addresses:
        pytest.skip("SKIPPED: instances have no link here, so there is no address to reach")
    for attack in ("other_runtime_apis", "reach_networks"):
        _, payload = strike(attack, addresses=addresses)
        assert not payload["escaped"], payload["evidence"]


def test_forged_log_lines_stay_in_the_functions_log(strike, server, undisturbed):
    strike("forge_log_lines")
    assert '"message":"forged"' not in server.log_text()


def test_process_left_behind_ends_with_its_instance(make_function, strike, lambda_client, undisturbed):
    name = make_function("attack-outlive", "python3.11", "attacks.handler", ATTACKS, Timeout=10)
    mark = "mf" + secrets.token_hex(5)
    response, _ = strike("outlive", function=name, name=mark)
    assert "FunctionError" not in response
    lambda_client.delete_function(FunctionName=name)
    wait_until(lambda: not any(mark in command for command in host_commands().values()), what="the end of the process left behind")


def test_nothing_is_left_on_the_host(new_server):
    """After attacks on a server of its own, and its stop, the host is as it was."""
    alone, forwarded = not tables(), forwarding()
    server = new_server().start()
    client = server.client()
    client.create_function(FunctionName="leave", Runtime="python3.11", Handler="attacks.handler", Role=ROLE, Timeout=20, MemorySize=512,
                           Code={"ZipFile": zip_bytes(ATTACKS)})
    client.get_waiter("function_active_v2").wait(FunctionName="leave", WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    mark = "mf" + secrets.token_hex(5)
    for payload in ('{"attack": "outlive", "name": "%s"}' % mark, '{"attack": "fork_bomb", "bound": 100}', '{"attack": "mounts"}'):
        client.invoke(FunctionName="leave", Payload=payload)["Payload"].read()
    assert set(resources(server)) >= {"control groups", "tables"}
    assert server.stop() == 0
    assert not [command for command in host_commands().values() if mark in command or str(server.data_dir) in command]

    # The kernel removes a namespace's links by and by.
    wait_until(lambda: not resources(server), seconds=10, what="the removal of what the server made on its host")
    # The switch is shared by all servers: the last one with a table turns it back.
    assert not alone or tables() or forwarding() == forwarded
