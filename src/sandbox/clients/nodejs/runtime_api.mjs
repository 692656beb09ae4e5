// The Runtime API over one kept-alive socket, with the little HTTP that it needs: node's own HTTP client costs four
// times as much for each invocation.
//
// Operation. One request at a time; the socket keeps the event loop alive only while one is outstanding.
import net from 'node:net';

const kPrefix = '/2018-06-01/runtime/';
const kCodeCache = 'mayfly/code-cache';
const kHeaderEnd = Buffer.from('\r\n\r\n');
const kMaxHeaderBytes = 1 << 20;
// Asks the platform to leave out the receipt of an answer and to send the next event as soon as there is one: one message
// each way for an invocation. What does not know it sends the receipt.
const kThenNext = 'Mayfly-Then-Next: 1\r\n';

export class RuntimeApi {
  constructor(address) {
    const colon = address.lastIndexOf(':');
    this.address = address;
    this.host = address.slice(0, colon);
    this.port = Number(address.slice(colon + 1));
    this.socket = null;
    this.waiter = null; // {resolve, reject} of the outstanding request
    this.following = null; // the event that came in place of a receipt
    this.parts = [];
    this.size = 0;
    this.need = 0; // bytes without which looking again is useless
    this.binary = false; // the body of the outstanding answer is bytes, not text
  }

  connect() {
    const socket = net.connect({ host: this.host, port: this.port, noDelay: true });
    this.socket = socket;
    this.parts = [];
    this.size = 0;
    this.need = 0;
    const lost = (error) => {
      if (this.socket !== socket) return;
      this.socket = null;
      const { waiter } = this;
      this.waiter = null;
      waiter?.reject(error ?? new Error('the Runtime API closed the connection'));
    };
    socket.on('data', (data) => this.take(data));
    socket.on('error', lost);
    socket.on('close', () => lost());
    socket.on('end', () => lost());
    return socket;
  }

  // For a process that is started ahead: the connection waits in the listener's queue until the daemon takes it.
  connected() {
    return new Promise((resolve, reject) => {
      const socket = this.connect();
      socket.once('connect', () => {
        socket.unref();
        resolve();
      });
      socket.once('error', reject);
    });
  }

  take(data) {
    this.parts.push(data);
    this.size += data.length;
    if (this.size < this.need) return;
    const bytes = this.parts.length === 1 ? this.parts[0] : Buffer.concat(this.parts, this.size);
    this.parts = [bytes];
    const end = bytes.indexOf(kHeaderEnd);
    if (end < 0) {
      if (this.size > kMaxHeaderBytes) this.socket.destroy(new Error('the Runtime API sent an endless header'));
      return;
    }
    const lines = bytes.toString('utf8', 0, end).split('\r\n');
    const headers = {};
    for (let i = 1; i < lines.length; ++i) {
      const colon = lines[i].indexOf(':');
      headers[lines[i].slice(0, colon).toLowerCase()] = lines[i].slice(colon + 1).trim();
    }
    let from = end + 4;
    let body;
    if (headers['transfer-encoding']?.toLowerCase() === 'chunked') {
      const chunks = [];
      for (;;) {
        const line = bytes.indexOf('\r\n', from);
        if (line < 0) return;
        const length = parseInt(bytes.toString('latin1', from, line), 16);
        if (bytes.length < line + 4 + length) return;
        chunks.push(bytes.subarray(line + 2, line + 2 + length));
        from = line + 4 + length;
        if (length === 0) break;
      }
      body = Buffer.concat(chunks).toString('utf8');
    } else {
      const length = Number(headers['content-length'] ?? 0);
      this.need = from + length;
      if (bytes.length < this.need) return;
      body = this.binary ? bytes.subarray(from, this.need) : bytes.toString('utf8', from, this.need);
      from = this.need;
    }
    this.need = 0;
    this.size = bytes.length - from;
    this.parts = this.size > 0 ? [bytes.subarray(from)] : [];
    const { waiter, socket } = this;
    this.waiter = null;
    socket.unref();
    if (headers.connection?.toLowerCase() === 'close') {
      this.socket = null;
      socket.end();
    }
    waiter?.resolve({ status: Number(lines[0].split(' ', 2)[1]), headers, body });
  }

  // Resolves with the answer to what is sent from now on.
  answer() {
    return new Promise((resolve, reject) => {
      this.waiter = { resolve, reject };
    });
  }

  head(method, path, headers) {
    return `${method} ${kPrefix}${path} HTTP/1.1\r\nHost: ${this.address}\r\n${headers}\r\n`;
  }

  send(text) {
    const socket = this.socket ?? this.connect();
    socket.ref();
    const answer = this.answer();
    socket.write(text);
    return answer;
  }

  async next() {
    const { following } = this;
    this.following = null;
    if (following !== null) return following;
    const request = this.head('GET', 'invocation/next', '');
    let answer;
    const kept = this.socket !== null;
    try {
      answer = await this.send(request);
    } catch (error) {
      // A kept-alive connection may be closed while it is idle; asking for the next invocation again is harmless.
      if (!kept) throw error;
      answer = await this.send(request);
    }
    if (answer.status !== 200) throw new Error(`The Runtime API answered ${answer.status} to invocation/next.`);
    return answer;
  }

  async post(path, headers, text) {
    const length = Buffer.byteLength(text);
    const answer = await this.send(
      this.head('POST', path, `Content-Type: application/json\r\n${headers}Content-Length: ${length}\r\n`) + text,
    );
    // 413 and kin are recorded by the platform as this invocation's error; only its own failure ends the runtime.
    if (answer.status >= 500) throw new Error(`The Runtime API answered ${answer.status} to ${path}.`);
    if (answer.headers['lambda-runtime-aws-request-id'] !== undefined) this.following = answer;
    return answer;
  }

  postResponse(id, text) {
    return this.post(`invocation/${id}/response`, kThenNext, text);
  }

  // `then` is '' for an error after which the process ends: it waits for the receipt and takes no further event.
  postError(id, error, cause, then = kThenNext) {
    const xray = cause ? `Lambda-Runtime-Function-XRay-Error-Cause: ${cause}\r\n` : '';
    return this.post(`invocation/${id}/error`, then + errorType(error) + xray, JSON.stringify(error));
  }

  postInitError(error) {
    return this.post('init/error', errorType(error), JSON.stringify(error));
  }

  // Compiled code of this version, or null (code_cache.mjs).
  async readCodeCache() {
    this.binary = true;
    try {
      const answer = await this.send(this.head('GET', kCodeCache, ''));
      return answer.status === 200 ? answer.body : null;
    } finally {
      this.binary = false;
    }
  }

  writeCodeCache(bytes) {
    const socket = this.socket ?? this.connect();
    socket.ref();
    const answer = this.answer();
    socket.cork();
    socket.write(this.head('POST', kCodeCache, `Content-Length: ${bytes.length}\r\n`));
    socket.write(bytes);
    socket.uncork();
    return answer;
  }

  // Opens a chunked answer to an invocation: {write(bytes, done), end(trailers), answered}.
  openStream(id, contentType) {
    const socket = this.socket ?? this.connect();
    socket.ref();
    const answered = this.answer();
    const headers =
      `Content-Type: ${contentType.replace(/[\r\n]/g, ' ')}\r\nLambda-Runtime-Function-Response-Mode: streaming\r\n` +
      'Transfer-Encoding: chunked\r\nTrailer: Lambda-Runtime-Function-Error-Type\r\n' +
      'Trailer: Lambda-Runtime-Function-Error-Body\r\n';
    socket.write(this.head('POST', `invocation/${id}/response`, headers));
    socket.unref();
    let ended = false;
    return {
      answered,
      write(bytes, done) {
        if (bytes.length === 0) return done();
        socket.ref();
        socket.cork();
        socket.write(`${bytes.length.toString(16)}\r\n`);
        socket.write(bytes);
        socket.write('\r\n', (error) => {
          if (!ended) socket.unref();
          done(error);
        });
        socket.uncork();
      },
      end(trailers) {
        ended = true;
        socket.ref();
        socket.write(`0\r\n${trailers}\r\n`);
        return answered;
      },
    };
  }
}

export function errorType(error) {
  return `Lambda-Runtime-Function-Error-Type: ${error.errorType.replace(/[^\x20-\x7e]/g, '?')}\r\n`;
}
