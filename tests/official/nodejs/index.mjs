export const handler = async (event, context) => {
  if (event.fail) throw new RangeError(event.fail);
  return { echo: event, request_id: context.awsRequestId };
};
