// A process of test/http/cluster-metrics.test.ts: it gives one counter, and asks for all when it is told to.
process.send({ type: 'here' });
process.on('message', (message) => {
  if (message.type === 'ask') process.send({ type: 'metrics wanted', id: 1 });
  if (message.type === 'metrics of all') process.send({ type: 'answered', text: message.text });
  if (message.type !== 'metrics of one wanted') return;
  const counter = {
    name: 'seen',
    help: 'seen',
    type: 'counter',
    aggregator: 'sum',
    values: [{ value: 1, labels: {} }],
  };
  process.send({ type: 'metrics of one', id: message.id, metrics: [counter] });
});
