// Errors as the Runtime API and the log carry them.
import { types } from 'node:util';

export class RuntimeError extends Error {
  constructor(type, message) {
    super(message);
    this.name = `Runtime.${type}`;
    this.stack = this.stack.replace(/^[^\n]*(?=\n|$)/, `${this.name}: ${message}`.split('\n')[0]);
  }
}

export class UnhandledPromiseRejection extends RuntimeError {
  constructor(reason, promise) {
    super('UnhandledPromiseRejection', String(reason));
    this.reason = reason;
    this.promise = promise;
  }
}

// 0x7F may not stand in a header or in the platform's JSON.
const clean = (text) => text.replace(/\x7F/g, '%7F');

export function errorObject(error) {
  try {
    const like =
      types.isNativeError(error) ||
      (typeof error?.name === 'string' && typeof error?.message === 'string' && typeof error?.stack === 'string');
    if (like) {
      return {
        errorType: clean(String(error.name)),
        errorMessage: clean(String(error.message)),
        trace: clean(String(error.stack)).split('\n'),
      };
    }
    return { errorType: typeof error, errorMessage: String(error), trace: [] };
  } catch {
    return {
      errorType: 'handled',
      errorMessage:
        'callback called with Error argument, but there was a problem while retrieving one or more of its message, ' +
        'name, and stack',
    };
  }
}

// The value of Lambda-Runtime-Function-XRay-Error-Cause, or "" where it would be too large for a header.
export function xrayCause(error) {
  try {
    const stack = String(error.stack)
      .split('\n')
      .slice(1)
      .map((line) => {
        const match = /at (?:(.*) )?\(?(.*?):(\d+)(?::\d+)?\)?$/.exec(line.trim());
        return { path: match?.[2] ?? line.trim(), line: Number(match?.[3] ?? 0), label: match?.[1] ?? 'anonymous' };
      });
    const text = JSON.stringify({
      working_directory: process.cwd(),
      exceptions: [{ type: clean(String(error.name)), message: clean(String(error.message)), stack }],
      paths: [...new Set(stack.map((frame) => frame.path))],
    });
    return text.length < 8 * 1024 ? text.replace(/[^\x20-\x7e]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`) : '';
  } catch {
    return '';
  }
}
