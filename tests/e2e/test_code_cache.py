"""Compiled code of Node.js functions: a version's later instances take what its first one left; nobody else gets or changes it."""

import concurrent.futures

from conftest import ROLE, zip_bytes

LINES = "".join(f"function f{i}(a, b) {{ return a > {i} ? [a, 'text {i}'] : f{i - 1 if i else 0}(b + {i}, a); }}\n" for i in range(1000))
CODE = LINES + """
const http = require('http');
const ask = (method, body) => new Promise((resolve, reject) => {
  const request = http.request({ port: 9001, method, path: '/2018-06-01/runtime/mayfly/code-cache' }, (response) => {
    response.resume();
    response.on('end', () => resolve(response.statusCode));
  });
  request.on('error', reject);
  request.end(body);
});
exports.handler = async (event) => {
  await new Promise((resolve) => setTimeout(resolve, event.sleep ?? 0));
  return { answer: f999(5000, 1)[0], instance: process.env.AWS_LAMBDA_LOG_STREAM_NAME, told: process.env.MAYFLY_CODE_CACHE ?? 'nothing',
           read: await ask('GET'), write: await ask('POST', 'poison') };
};
"""


def create(client, name, code):
    client.create_function(FunctionName=name, Runtime="nodejs20.x", Handler="index.handler", Role=ROLE, MemorySize=256, Timeout=20,
                           Code={"ZipFile": zip_bytes({"index.js": code})})
    client.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1})


def test_later_instances_run_what_the_first_one_compiled(lambda_client, invoke):
    create(lambda_client, "compiled", CODE)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        results = [invoke("compiled")[1], *(result for _, result in pool.map(lambda _: invoke("compiled", {"sleep": 300}), range(4)))]
    assert len({result["instance"] for result in results}) >= 2  # on a slow machine the first ones serve several
    for result in results:
        assert result["answer"] == 5000 and result["told"] == "nothing"


def test_after_the_first_event_nobody_reads_or_writes_it(lambda_client, invoke):
    create(lambda_client, "compiled-late", CODE)
    _, result = invoke("compiled-late")
    assert (result["read"], result["write"]) == (403, 403)


def test_what_one_function_leaves_no_other_one_gets(lambda_client, invoke):
    """Code that poisons its own version's compiled code while it initialises: another function of the same package is untouched."""
    poison = CODE + """
const { execFileSync } = require('child_process');
const script = `const http = require('http');
const r = http.request({ port: 9001, method: 'POST', path: '/2018-06-01/runtime/mayfly/code-cache' }, (a) => { console.log(a.statusCode); a.resume(); });
r.end('poison');`;
exports.status = process.env.POISON ? execFileSync(process.execPath, ['-e', script]).toString().trim() : '';
const own = exports.handler;
exports.handler = async (event) => ({ ...(await own(event)), status: exports.status });
"""
    create(lambda_client, "compiled-poison", poison)
    lambda_client.update_function_configuration(FunctionName="compiled-poison", Environment={"Variables": {"POISON": "1"}})
    lambda_client.get_waiter("function_updated_v2").wait(FunctionName="compiled-poison", WaiterConfig={"Delay": 1})
    _, first = invoke("compiled-poison")
    assert first["status"] == "202" and first["answer"] == 5000
    # Its own next instance finds nothing of use in it, and is started as ever.
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        assert all(result["answer"] == 5000 for _, result in pool.map(lambda _: invoke("compiled-poison", {"sleep": 300}), range(2)))
    # The same package under another name, and the same function in another configuration.
    create(lambda_client, "compiled-clean", poison)
    assert invoke("compiled-clean")[1]["answer"] == 5000
    lambda_client.update_function_configuration(FunctionName="compiled-poison", Environment={"Variables": {}})
    lambda_client.get_waiter("function_updated_v2").wait(FunctionName="compiled-poison", WaiterConfig={"Delay": 1})
    assert invoke("compiled-poison")[1]["answer"] == 5000
