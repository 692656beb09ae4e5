// A plain HTTP server that does what the no-op function does: reads JSON, answers null. PORT as the argument.
import http from 'node:http';

http
  .createServer((request, response) => {
    const parts = [];
    request.on('data', (part) => parts.push(part));
    request.on('end', () => {
      JSON.parse(Buffer.concat(parts).toString());
      response.end('null');
    });
  })
  .listen(Number(process.argv[2]), '127.0.0.1');
