// Finds the function that a handler string names: "app.handler", "src/app.handler", "app.nested.handler", in ES and
// CommonJS modules, by Lambda's order of file extensions.
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { RuntimeError } from './errors.mjs';
import { HttpResponseStream } from './response_stream.mjs';

const require = createRequire(import.meta.url);
const kStreaming = Symbol.for('aws.lambda.runtime.handler.streaming');
const kHighWaterMark = Symbol.for('aws.lambda.runtime.handler.streaming.highWaterMark');

// Has the loader of CommonJS modules compiled and run once, before there is a function to wait for it.
export function warmUp() {
  require('./warm.cjs');
}

export function installGlobals() {
  globalThis.awslambda = {
    streamifyResponse(handler, options) {
      handler[kStreaming] = 'response';
      if (typeof options?.highWaterMark === 'number') handler[kHighWaterMark] = Math.trunc(options.highWaterMark);
      return handler;
    },
    HttpResponseStream,
  };
}

export function isStreaming(handler) {
  const mode = handler[kStreaming];
  if (mode === undefined || mode === null || mode === false) return false;
  if (mode === 'response') return true;
  throw new RuntimeError('MalformedStreamingHandler', 'Only response streaming is supported.');
}

// Whether a .js file is an ES module, by the nearest package.json.
function isModulePackage(folder) {
  for (;;) {
    if (folder.endsWith('/node_modules')) return false;
    const file = path.join(folder, 'package.json');
    if (existsSync(file)) {
      try {
        return JSON.parse(readFileSync(file, 'utf8'))?.type === 'module';
      } catch (error) {
        console.warn(`${file} cannot be read, it will be ignored for ES module detection purposes.`, error);
        return false;
      }
    }
    if (folder === '/') return false;
    folder = path.dirname(folder);
  }
}

async function loadModule(root, folder, name) {
  const base = path.resolve(root, folder, name);
  if (existsSync(base) && path.extname(base) !== '' ) return require(base);
  if (existsSync(`${base}.js`)) {
    return isModulePackage(path.dirname(base)) ? import(pathToFileURL(`${base}.js`)) : require(`${base}.js`);
  }
  if (existsSync(`${base}.mjs`)) return import(pathToFileURL(`${base}.mjs`));
  if (existsSync(`${base}.cjs`)) return require(`${base}.cjs`);
  return require(require.resolve(name, { paths: [root, path.resolve(root, folder)] }));
}

export async function loadHandler(root, text) {
  if (text.includes('..')) {
    throw new RuntimeError(
      'MalformedHandlerName',
      `'${text}' is not a valid handler name. Use absolute paths when specifying root directories in handler names.`,
    );
  }
  const last = path.basename(text);
  const folder = text.substring(0, text.indexOf(last));
  const match = /^([^.]*)\.(.*)$/.exec(last);
  if (!match) throw new RuntimeError('MalformedHandlerName', 'Bad handler');
  let module;
  try {
    module = await loadModule(root, folder, match[1]);
  } catch (error) {
    if (error instanceof SyntaxError) throw asRuntimeError('UserCodeSyntaxError', error);
    if (error?.code === 'MODULE_NOT_FOUND') throw asRuntimeError('ImportModuleError', error);
    throw error;
  }
  const find = (object) => match[2].split('.').reduce((value, key) => value?.[key], object);
  // A CommonJS module that was transpiled or imported may hold its exports under "default".
  const handler = find(module);
  if (!handler) throw new RuntimeError('HandlerNotFound', `${text} is undefined or not exported`);
  if (typeof handler !== 'function') throw new RuntimeError('HandlerNotFound', `${text} is not a function`);
  return handler;
}

function asRuntimeError(type, cause) {
  const error = new RuntimeError(type, String(cause));
  // The place of a syntax error stands only in the cause's own stack.
  error.stack = `${error.name}: ${cause.stack}`;
  return error;
}
