// SQS as the SDK for JavaScript uses it: it checks the digests of bodies by itself. Prints what it saw as JSON.
import {
  ChangeMessageVisibilityCommand, CreateQueueCommand, DeleteMessageBatchCommand, DeleteQueueCommand, GetQueueUrlCommand, ReceiveMessageCommand,
  SQSClient, SendMessageBatchCommand, SendMessageCommand, paginateListQueues,
} from '@aws-sdk/client-sqs';

const client = new SQSClient({ endpoint: process.argv[2], region: 'us-east-1', maxAttempts: 1, credentials: { accessKeyId: 'test', secretAccessKey: 'test' } });
const send = (command) => client.send(command);
const seen = {};

const { QueueUrl } = await send(new CreateQueueCommand({ QueueName: 'js.fifo', Attributes: { FifoQueue: 'true', ContentBasedDeduplication: 'true' } }));
const first = await send(new SendMessageCommand({ QueueUrl, MessageBody: 'grüße', MessageGroupId: 'g', MessageAttributes: { b: { DataType: 'Binary', BinaryValue: new Uint8Array([0, 255]) } } }));
const again = await send(new SendMessageCommand({ QueueUrl, MessageBody: 'grüße', MessageGroupId: 'g' }));
seen.deduplicated = first.MessageId === again.MessageId;
seen.sequence = first.SequenceNumber.length;
const batch = await send(new SendMessageBatchCommand({ QueueUrl, Entries: [1, 2, 3].map((n) => ({ Id: `m${n}`, MessageBody: `m${n}`, MessageGroupId: 'g' })) }));
seen.sent = batch.Successful.length;
const { Messages } = await send(new ReceiveMessageCommand({ QueueUrl, MaxNumberOfMessages: 10, WaitTimeSeconds: 5, MessageAttributeNames: ['All'], MessageSystemAttributeNames: ['All'] }));
seen.bodies = Messages.map((m) => m.Body);
seen.binary = [...Messages[0].MessageAttributes.b.BinaryValue];
seen.group = Messages[0].Attributes.MessageGroupId;
await send(new ChangeMessageVisibilityCommand({ QueueUrl, ReceiptHandle: Messages[3].ReceiptHandle, VisibilityTimeout: 60 }));
const deleted = await send(new DeleteMessageBatchCommand({ QueueUrl, Entries: Messages.map((m, n) => ({ Id: `${n}`, ReceiptHandle: m.ReceiptHandle })) }));
seen.deleted = deleted.Successful.length;
seen.pages = [];
for await (const page of paginateListQueues({ client, pageSize: 1 }, { QueueNamePrefix: 'js' })) seen.pages.push(...(page.QueueUrls ?? []));
await send(new DeleteQueueCommand({ QueueUrl }));
try {
  await send(new GetQueueUrlCommand({ QueueName: 'js.fifo' }));
} catch (error) {
  seen.missing = [error.name, error.message, error.$metadata.httpStatusCode];
}
console.log(JSON.stringify(seen));
