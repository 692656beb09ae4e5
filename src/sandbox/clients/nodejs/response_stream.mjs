// The stream that a handler made by awslambda.streamifyResponse writes its answer to.
import { Writable } from 'node:stream';
import { RuntimeError } from './errors.mjs';
import { errorType } from './runtime_api.mjs';

const kPreludeContentType = 'application/vnd.awslambda.http-integration-response';

class ResponseStream extends Writable {
  constructor(open) {
    super({ decodeStrings: true });
    this.open = open; // opens the answer at its first byte, so that the content type can be set until then
    this.contentType = 'application/octet-stream';
    this._onBeforeFirstWrite = null;
    this.sink = null;
  }

  setContentType(contentType) {
    if (this.sink) throw new RuntimeError('InvalidStreamingOperation', 'Cannot set content-type, too late.');
    this.contentType = contentType;
  }

  // Anything that is not bytes is written as JSON.
  write(chunk, encoding, callback) {
    const bytes = typeof chunk === 'string' || chunk instanceof Uint8Array;
    return super.write(bytes ? chunk : JSON.stringify(chunk), encoding, callback);
  }

  begin() {
    if (this.sink) return;
    this.sink = this.open(this.contentType);
    this._onBeforeFirstWrite?.((chunk) => this.sink.write(Buffer.from(chunk), () => {}));
  }

  _write(chunk, _encoding, callback) {
    this.begin();
    this.sink.write(chunk, callback);
  }

  _final(callback) {
    this.begin();
    this.sink.end('');
    callback();
  }
}

export class HttpResponseStream {
  // The metadata (statusCode, headers, cookies) goes before the first byte of the body, ended by eight NULs.
  static from(stream, prelude) {
    stream.setContentType(kPreludeContentType);
    const metadata = JSON.stringify(prelude);
    stream._onBeforeFirstWrite = (write) => {
      write(metadata);
      write(new Uint8Array(8));
    };
    return stream;
  }
}

export function createResponseStream(api, id) {
  let resolveAnswered;
  let rejectAnswered;
  const answered = new Promise((resolve, reject) => {
    resolveAnswered = resolve;
    rejectAnswered = reject;
  });
  answered.catch(() => {}); // whoever waits for it sees the error
  const writable = new ResponseStream((contentType) => {
    const sink = api.openStream(id, contentType);
    sink.answered.then(resolveAnswered, rejectAnswered);
    return sink;
  });
  return {
    writable,
    answered,
    get started() {
      return writable.sink !== null;
    },
    // Ends an answer that has begun with trailers that tell the error.
    async fail(error) {
      if (!writable.writableFinished) {
        const body = Buffer.from(JSON.stringify(error)).toString('base64');
        writable.on('error', () => {});
        writable.destroy();
        writable.sink.end(`${errorType(error)}Lambda-Runtime-Function-Error-Body: ${body}\r\n`);
      }
      await answered;
    },
  };
}
