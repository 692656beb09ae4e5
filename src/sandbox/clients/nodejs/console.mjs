// console.* in Lambda's form: "time<TAB>request id<TAB>level<TAB>message", or JSON with AWS_LAMBDA_LOG_FORMAT=JSON.
import { writeSync } from 'node:fs';
import { format } from 'node:util';
import { errorObject } from './errors.mjs';

const kLevels = { TRACE: 1, DEBUG: 2, INFO: 3, WARN: 4, ERROR: 5, FATAL: 6 };
let json = false;

let requestId;

export function setRequestId(id) {
  requestId = id;
}

function write(line) {
  // A message of several lines is one log event, so its line ends become carriage returns.
  const bytes = Buffer.from(`${line.replace(/\n/g, '\r')}\n`);
  let offset = 0;
  while (offset < bytes.length) {
    try {
      offset += writeSync(1, bytes, offset);
    } catch (error) {
      if (error.code === 'EAGAIN') {
        process.stdout.write(bytes.subarray(offset));
      }
      return;
    }
  }
}

function errorFields(error) {
  return {
    errorType: error?.constructor?.name ?? 'UnknownError',
    errorMessage: error.message,
    stackTrace: typeof error.stack === 'string' ? error.stack.split('\n') : [],
  };
}

const withErrors = (_, value) => (value instanceof Error ? { ...errorFields(value), ...value } : value);

function jsonLine(level, params) {
  const line = { timestamp: new Date().toISOString(), level, requestId };
  if (params.length === 1) {
    line.message = params[0];
    try {
      return JSON.stringify(line, withErrors);
    } catch {
      line.message = format(params[0]);
      return JSON.stringify(line);
    }
  }
  line.message = format(...params);
  const error = params.find((param) => param instanceof Error);
  if (error) Object.assign(line, errorFields(error));
  return JSON.stringify(line);
}

export function patchConsole() {
  json = (process.env.AWS_LAMBDA_LOG_FORMAT ?? '').toUpperCase() === 'JSON';
  const least = kLevels[(process.env.AWS_LAMBDA_LOG_LEVEL ?? '').toUpperCase()] ?? kLevels.TRACE;
  for (const [level, priority] of Object.entries(kLevels)) {
    const log = (...params) =>
      write(json ? jsonLine(level, params) : `${new Date().toISOString()}\t${requestId}\t${level}\t${format(...params)}`);
    console[level.toLowerCase()] = priority >= least ? log : () => {};
  }
  console.log = console.info;
}

const withStack = (_, value) =>
  value instanceof Error
    ? {
        errorType: value.name,
        errorMessage: value.message,
        code: value.code,
        ...value,
        stack: typeof value.stack === 'string' ? value.stack.split('\n') : undefined,
      }
    : value;

export function logError(title, thrown) {
  const error = thrown instanceof Error ? thrown : new Error(thrown);
  if (json) return console.error(error);
  let text;
  try {
    text = JSON.stringify(error, withStack);
  } catch {
    text = JSON.stringify(errorObject(error));
  }
  console.error(title, `\t${text}`);
}
