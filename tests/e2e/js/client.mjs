// Drives the SDK for JavaScript against a server: create, wait, invoke, stream, delete. Prints one line of JSON.
import { readFileSync } from 'node:fs';
import {
  CreateFunctionCommand, DeleteFunctionCommand, GetFunctionCommand, InvokeCommand, InvokeWithResponseStreamCommand,
  LambdaClient, waitUntilFunctionActiveV2,
} from '@aws-sdk/client-lambda';

const [endpoint, zipPath, streamZipPath] = process.argv.slice(2);
const client = new LambdaClient({ endpoint, region: 'us-east-1', credentials: { accessKeyId: 'test', secretAccessKey: 'test' } });
const Role = 'arn:aws:iam::000000000000:role/test';

async function create(FunctionName, path) {
  await client.send(new CreateFunctionCommand({
    FunctionName, Runtime: 'nodejs20.x', Handler: 'index.handler', Role, Code: { ZipFile: readFileSync(path) },
  }));
  await waitUntilFunctionActiveV2({ client, maxWaitTime: 30, minDelay: 1 }, { FunctionName });
}

await create('js-sdk', zipPath);
await create('js-sdk-stream', streamZipPath);
const got = await client.send(new GetFunctionCommand({ FunctionName: 'js-sdk' }));
const invoked = await client.send(new InvokeCommand({ FunctionName: 'js-sdk', Payload: JSON.stringify({ n: 1 }), LogType: 'Tail' }));
const streamed = await client.send(new InvokeWithResponseStreamCommand({ FunctionName: 'js-sdk-stream', Payload: '{}' }));
const chunks = [];
let complete = false;
for await (const event of streamed.EventStream) {
  if (event.PayloadChunk) chunks.push(Buffer.from(event.PayloadChunk.Payload).toString());
  if (event.InvokeComplete) complete = !event.InvokeComplete.ErrorCode;
}
let missing = '';
try {
  await client.send(new InvokeCommand({ FunctionName: 'no-such-function' }));
} catch (error) {
  missing = error.name;
}
for (const FunctionName of ['js-sdk', 'js-sdk-stream']) await client.send(new DeleteFunctionCommand({ FunctionName }));
console.log(JSON.stringify({
  state: got.Configuration.State, payload: JSON.parse(Buffer.from(invoked.Payload).toString()), log: Buffer.from(invoked.LogResult, 'base64').toString(),
  stream: chunks.join(''), complete, missing,
}));
