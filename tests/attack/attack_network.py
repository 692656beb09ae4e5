"""The network: the daemon, metadata, neighbours, other instances."""

import errno
import os
import socket
import struct

from attacking import attack, try_connect


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
