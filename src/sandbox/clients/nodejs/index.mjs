// The managed Node.js runtime: finds the handler and answers invocations over the Lambda Runtime API. This file owns
// the order of an invocation; runtime_api.mjs speaks the protocol, handler.mjs finds the function, console.mjs logs.
//
// An invocation of a callback handler ends when the event loop is empty, so the connection to the Runtime API must not
// keep the loop alive while a handler runs: it is unref'd, and ref'd again for each request of our own.
import { closeSync, readSync, writeSync } from 'node:fs';
import { patchConsole, logError, setRequestId } from './console.mjs';
import { errorObject, UnhandledPromiseRejection, xrayCause } from './errors.mjs';
import { installGlobals, isStreaming, loadHandler, warmUp } from './handler.mjs';
import { RuntimeApi } from './runtime_api.mjs';
import { createResponseStream } from './response_stream.mjs';

const env = process.env;
const api = new RuntimeApi(env.AWS_LAMBDA_RUNTIME_API);
const runtimeMajor = Number(/nodejs(\d+)/.exec(env.AWS_EXECUTION_ENV ?? '')?.[1] ?? 0);

let current = null; // the invocation that runs: {id, stream}
let phase = 'init';
let whenIdle = null; // called when the event loop is empty

function once(fn) {
  let called = false;
  return (...args) => {
    if (called) return;
    called = true;
    fn(...args);
  };
}

async function die(error, status) {
  try {
    if (current?.stream?.started) await current.stream.fail(errorObject(error));
    else if (current) await api.postError(current.id, errorObject(error), xrayCause(error), '');
    else if (phase === 'init') await api.postInitError(errorObject(error));
  } catch {
    // The platform sees the exit in any case.
  }
  process.exit(status);
}

process.on('uncaughtException', (error) => {
  logError('Uncaught Exception', error);
  die(error, 129);
});
process.on('unhandledRejection', (reason, promise) => {
  const error = new UnhandledPromiseRejection(reason, promise);
  logError('Unhandled Promise Rejection', error);
  die(error, 128);
});
process.on('beforeExit', () => {
  const listener = whenIdle;
  whenIdle = null;
  listener?.();
});

function parseHeader(headers, name, title) {
  const text = headers[name];
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error(`Cannot parse ${title} as json: ${error}`);
  }
}

function fillContext(context, headers) {
  const deadline = Number(headers['lambda-runtime-deadline-ms']);
  return Object.assign(context, {
    functionVersion: env.AWS_LAMBDA_FUNCTION_VERSION,
    functionName: env.AWS_LAMBDA_FUNCTION_NAME,
    memoryLimitInMB: env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
    logGroupName: env.AWS_LAMBDA_LOG_GROUP_NAME,
    logStreamName: env.AWS_LAMBDA_LOG_STREAM_NAME,
    clientContext: parseHeader(headers, 'lambda-runtime-client-context', 'ClientContext'),
    identity: parseHeader(headers, 'lambda-runtime-cognito-identity', 'CognitoIdentity'),
    invokedFunctionArn: headers['lambda-runtime-invoked-function-arn'],
    awsRequestId: headers['lambda-runtime-aws-request-id'],
    tenantId: headers['lambda-runtime-aws-tenant-id'],
    getRemainingTimeInMillis: () => deadline - Date.now(),
  });
}

function waitProperty(context) {
  let wait = true;
  Object.defineProperty(context, 'callbackWaitsForEmptyEventLoop', {
    get: () => wait,
    set: (value) => {
      wait = value;
    },
    enumerable: true,
    configurable: true,
  });
  return () => wait;
}

// Resolves when the invocation has been answered.
function runBuffered(handler, headers, body) {
  return new Promise((resolve, reject) => {
    const { id } = current;
    // What the platform says next may be the next event: from here on this invocation is nobody's any more.
    const finish = (promise) => {
      current = null;
      whenIdle = null;
      promise.then(resolve, reject);
    };
    const fail = (error) => {
      logError('Invoke Error', error);
      finish(api.postError(id, errorObject(error), xrayCause(error)));
    };
    const complete = (result) => {
      let text;
      try {
        text = JSON.stringify(result === undefined ? null : result) ?? 'null';
      } catch {
        return fail(new Error('Unable to stringify response body'));
      }
      finish(api.postResponse(id, text));
    };
    let answered = false;
    const done = once((error, result) => {
      answered = true;
      whenIdle = null;
      if (error !== undefined && error !== null) fail(error);
      else complete(result);
    });
    const context = {};
    const waits = waitProperty(context);
    const callback = once((error, result) => {
      if (answered) return;
      answered = true;
      whenIdle = null;
      if (error !== undefined && error !== null) fail(error);
      else if (!waits()) complete(result);
      else whenIdle = () => complete(result);
    });
    context.succeed = (result) => !answered && done(null, result);
    context.fail = (error) => !answered && done(error ?? 'handled');
    context.done = (error, result) => !answered && done(error, result);
    // A handler that neither calls back nor returns a promise ends with the event loop, and answers null.
    whenIdle = () => done(null, null);
    try {
      const result = handler(JSON.parse(body), fillContext(context, headers), callback);
      if (typeof result?.then === 'function') result.then(context.succeed, context.fail);
    } catch (error) {
      context.fail(error);
    }
  });
}

async function runStreaming(handler, headers, body) {
  const { id } = current;
  const stream = createResponseStream(api, id);
  current.stream = stream;
  const fail = async (error) => {
    whenIdle = null;
    logError('Invoke Error', error);
    // Before the first byte the answer can still be an error as such; later only trailers can tell.
    if (stream.started) await stream.fail(errorObject(error));
    else await api.postError(id, errorObject(error), xrayCause(error));
  };
  const context = {};
  waitProperty(context);
  const idle = new Promise((resolve) => {
    whenIdle = () => resolve(new Error('Response stream is not finished.'));
  });
  try {
    const result = handler(JSON.parse(body), stream.writable, fillContext(context, headers));
    if (typeof result?.then !== 'function') return await fail('Streaming does not support non-async handlers.');
    const outcome = await Promise.race([result.then(() => null), idle]);
    if (outcome) return await fail(outcome);
    if ((await result) !== undefined) console.warn('Streaming handlers ignore return values.');
    const unfinished = await Promise.race([stream.answered, idle]);
    if (unfinished instanceof Error) return await fail(unfinished);
  } catch (error) {
    await fail(error);
  }
}

function refuseCallbackHandler(handler) {
  // From Node.js 24 on a third parameter would never be called, so the function would hang: refused at once.
  if (runtimeMajor < 24 || handler.length < 3) return;
  const error = new Error(
    'AWS Lambda has removed support for callback-based function handlers starting with Node.js 24. You need to modify ' +
      'this function to use a supported handler signature to use Node.js 24 or later.',
  );
  error.name = 'Runtime.CallbackHandlerDeprecated';
  throw error;
}

// Started before it is known for which function: everything of the platform's own is loaded, and the rest is read to the
// end of the control socket. Nothing of a function is in this process until then, and it serves that one to its end.
async function waitForFunction() {
  const control = Number(env.MAYFLY_CONTROL_FD);
  await api.connected();
  await import('./code_cache.mjs');
  warmUp();
  writeSync(control, 'r');
  const parts = [];
  for (;;) {
    const bytes = Buffer.allocUnsafe(65536);
    const length = readSync(control, bytes);
    if (length === 0) break;
    parts.push(bytes.subarray(0, length));
  }
  closeSync(control);
  if (parts.length === 0) process.exit(0); // the sandbox is given up
  const told = JSON.parse(Buffer.concat(parts).toString());
  for (const name of Object.keys(env)) if (!(name in told.environment)) delete env[name];
  Object.assign(env, told.environment);
  process.chdir(told.directory);
}

// The platform says whether it has compiled code of this version, or would like to. Whatever goes wrong here, the function
// is loaded as ever.
async function openCache(root) {
  const mode = env.MAYFLY_CODE_CACHE;
  delete env.MAYFLY_CODE_CACHE;
  if (mode !== 'read' && mode !== 'write') return null;
  try {
    const { openCodeCache } = await import('./code_cache.mjs');
    return await openCodeCache(api, mode, root);
  } catch {
    return null;
  }
}

async function main() {
  if (env.MAYFLY_CONTROL_FD !== undefined) await waitForFunction();
  else await api.connected(); // the platform tells the interpreter's start from the function's own by it
  patchConsole();
  installGlobals();
  let handler;
  let run;
  try {
    const root = env.LAMBDA_TASK_ROOT ?? '/var/task';
    const cache = await openCache(root);
    handler = await loadHandler(root, env._HANDLER ?? '');
    await cache?.close().catch(() => {});
    run = isStreaming(handler) ? runStreaming : runBuffered;
    if (run === runBuffered) refuseCallbackHandler(handler);
  } catch (error) {
    logError('Uncaught Exception', error);
    return die(error, 1);
  }
  phase = 'ready';
  for (;;) {
    const { headers, body } = await api.next();
    const id = headers['lambda-runtime-aws-request-id'];
    current = { id, stream: null };
    setRequestId(id);
    if (headers['lambda-runtime-trace-id']) env._X_AMZN_TRACE_ID = headers['lambda-runtime-trace-id'];
    else delete env._X_AMZN_TRACE_ID;
    await run(handler, headers, body);
    current = null;
    whenIdle = null;
  }
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
