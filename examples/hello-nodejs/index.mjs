export const handler = async (event, context) => ({
  message: `Hello, ${event?.name ?? 'world'}, from Node.js ${process.version}!`,
  request_id: context.awsRequestId,
  remaining_ms: context.getRemainingTimeInMillis(),
});
