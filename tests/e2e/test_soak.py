"""Mixed load with instance kills: nothing is lost, nothing is run twice. MAYFLY_SOAK_SECONDS makes it longer."""

import concurrent.futures
import json
import os
import random
import re
import time
import uuid

SECONDS = float(os.environ.get("MAYFLY_SOAK_SECONDS", "15"))
PYTHON = {"app.py": """
import os, time
def handler(event, context):
    print('ran', event['id'])
    if event['kind'] == 'exit': os._exit(1)
    if event['kind'] == 'slow': time.sleep(0.05)
    if event['kind'] == 'fail': raise RuntimeError('asked to')
    return event['id']
"""}
NODE = {"index.mjs": """
export const handler = async (event) => {
  console.log('ran', event.id);
  if (event.kind === 'exit') process.exit(1);
  if (event.kind === 'slow') await new Promise((r) => setTimeout(r, 50));
  if (event.kind === 'fail') throw new Error('asked to');
  return event.id;
};"""}


def test_mixed_load_loses_and_doubles_nothing(server, make_function, tools):
    names = [make_function("soak-python", "python3.11", "app.handler", PYTHON, Timeout=10),
             make_function("soak-node", "nodejs20.x", "index.handler", NODE, Timeout=10)]
    seed = int(os.environ.get("MAYFLY_SOAK_SEED", random.randrange(1 << 32)))
    print("seed", seed)
    end = time.monotonic() + SECONDS

    def worker(number):
        dice = random.Random(seed + number)
        client = server.client()
        answered = {}
        while time.monotonic() < end:
            kind = dice.choices(["plain", "slow", "fail", "exit"], [70, 20, 6, 4])[0]
            event_id = str(uuid.UUID(int=dice.getrandbits(128)))
            response = client.invoke(FunctionName=dice.choice(names), Payload=json.dumps({"id": event_id, "kind": kind}).encode())
            payload = json.loads(response["Payload"].read())
            if kind in ("plain", "slow"):
                assert payload == event_id and "FunctionError" not in response, (kind, payload)
            else:
                assert response["FunctionError"] == "Unhandled", (kind, payload)
                assert payload["errorType"] in ("RuntimeError", "Error", "Runtime.ExitError"), payload
            answered[event_id] = kind
        return answered

    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        answered = {}
        for part in pool.map(worker, range(6)):
            answered.update(part)
    assert len(answered) > 20

    def runs():
        text = "".join(path.read_text(errors="replace") for path in (server.data_dir / "data/logs").rglob("*") if path.is_file())
        return re.findall(r"ran ([0-9a-f-]{36})", text)

    # An instance that exits may take its last line with it; every other invocation must have run, and run once.
    tools.wait_until(lambda: {i for i, kind in answered.items() if kind != "exit"} <= set(runs()), what="every invocation's line")
    seen = runs()
    assert len(seen) == len(set(seen)), "an invocation ran twice"
    assert set(seen) <= set(answered)
    print(len(answered), "invocations")
