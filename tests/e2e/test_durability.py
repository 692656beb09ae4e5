"""What was acknowledged survives a stop and a kill; functions scale to zero; a stop waits for what runs."""

import concurrent.futures
import threading

import botocore.exceptions
import pytest

pytestmark = pytest.mark.main

CODE = {"app.py": "import time\ndef handler(e, c):\n  time.sleep(e.get('sleep', 0))\n  return e.get('n')"}


def create(client, name, tools):
    client.create_function(FunctionName=name, Runtime="python3.11", Handler="app.handler", Role=tools.role, Timeout=30,
                           Code={"ZipFile": tools.zip_bytes(CODE)})


def call(client, name, n, **event):
    import json
    response = client.invoke(FunctionName=name, Payload=json.dumps({"n": n, **event}).encode())
    return json.loads(response["Payload"].read())


def test_functions_survive_a_stop_and_a_start(new_server, tools):
    server = new_server().start()
    create(server.client(), "kept", tools)
    server.client().get_waiter("function_active_v2").wait(FunctionName="kept", WaiterConfig={"Delay": 1})
    assert call(server.client(), "kept", 1) == 1
    assert server.stop() == 0
    server.start()
    assert call(server.client(), "kept", 2) == 2


def test_nothing_acknowledged_is_lost_by_kill(new_server, tools):
    server = new_server().start()
    acknowledged = []
    for round_number in range(3):
        client = server.client()
        stop = threading.Event()

        def write(worker, client=client, stop=stop, round_number=round_number):
            for i in range(200):
                name = f"r{round_number}-w{worker}-{i}"
                try:
                    create(client, name, tools)
                except botocore.exceptions.BotoCoreError:  # The server was killed under this call: not acknowledged.
                    return
                acknowledged.append(name)
                if stop.is_set():
                    return

        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            workers = [pool.submit(write, w) for w in range(4)]
            tools.wait_until(lambda: server.process.poll() is not None or len(acknowledged) >= 10 * (round_number + 1))
            assert server.process.poll() is None, server.log_text()[-4000:]
            server.kill()
            stop.set()
            for worker in workers:
                worker.result()
        server.start()
        assert "repaired" in server.log_text()
        names = {f["FunctionName"] for page in server.client().get_paginator("list_functions").paginate() for f in page["Functions"]}
        missing = set(acknowledged) - names
        assert not missing
    name = acknowledged[-1]
    server.client().get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1})
    assert call(server.client(), name, 5) == 5


def test_a_stop_lets_running_invocations_finish(new_server, tools):
    server = new_server().start()
    client = server.client()
    create(client, "slow", tools)
    client.get_waiter("function_active_v2").wait(FunctionName="slow", WaiterConfig={"Delay": 1})
    call(client, "slow", 0)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        running = pool.submit(call, client, "slow", 9, sleep=2)
        tools.wait_until(lambda: busy(server) == 1)
        assert server.stop() == 0
        assert running.result() == 9


def busy(server):
    import re
    import urllib.request
    with urllib.request.urlopen(server.endpoint + "/metrics", timeout=5) as response:
        found = re.search(r'mayfly_instances\{state="busy"\} (\d+)', response.read().decode())
    return int(found.group(1)) if found else 0


def test_idle_instances_are_retired(new_server, tools):
    import re
    import urllib.request
    server = new_server({"idle_timeout": 1}).start()
    client = server.client()
    create(client, "idle", tools)
    client.get_waiter("function_active_v2").wait(FunctionName="idle", WaiterConfig={"Delay": 1})
    call(client, "idle", 1)

    def instances():
        with urllib.request.urlopen(server.endpoint + "/metrics", timeout=5) as response:
            text = response.read().decode()
        return sum(int(n) for n in re.findall(r'mayfly_instances\{state="\w+"\} (\d+)', text))

    tools.wait_until(lambda: instances() == 0, what="scale to zero")
    assert call(client, "idle", 2) == 2


def test_a_second_server_on_the_same_data_is_refused(new_server):
    server = new_server().start()
    other = new_server()
    other.data_dir = server.data_dir
    with pytest.raises(RuntimeError):
        other.start()


def test_wrong_signature_is_refused(new_server):
    server = new_server().start()
    with pytest.raises(botocore.exceptions.ClientError) as refused:
        server.client(aws_secret_access_key="wrong").list_functions()
    assert refused.value.response["Error"]["Code"] == "InvalidSignatureException"
    with pytest.raises(botocore.exceptions.ClientError) as unknown:
        server.client(aws_access_key_id="AKIANOBODY").list_functions()
    assert unknown.value.response["Error"]["Code"] == "UnrecognizedClientException"
