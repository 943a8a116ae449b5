// Serves one of each kind of metric with prom-client, as OpenMetrics with exemplars, or as text (a second argument).
//
// Usage: node serve.cjs PORT [text]
'use strict';

const http = require('node:http');
const client = require('prom-client');

const registry = new client.Registry();
const isText = process.argv[3] === 'text';
if (!isText) {
  registry.setContentType(client.Registry.OPENMETRICS_CONTENT_TYPE);
}
const registers = [registry];

const orders = new client.Counter({
  name: 'mill_orders_total', help: 'Orders that were taken.', labelNames: ['kind'], registers, enableExemplars: !isText,
});
const seconds = new client.Histogram({
  name: 'mill_order_seconds', help: 'How long orders took.', buckets: [0.1, 1, 10], registers, enableExemplars: !isText,
});
if (isText) {
  orders.inc({ kind: 'flour' }, 3);
  [0.05, 0.5, 0.5, 5, 50].forEach((value) => seconds.observe(value));
} else {
  orders.inc({ labels: { kind: 'flour' }, value: 3, exemplarLabels: { trace_id: 'abc123' } });
  [0.05, 0.5, 0.5, 5, 50].forEach((value) => seconds.observe({ value, exemplarLabels: { trace_id: `t${value}` } }));
}
new client.Gauge({ name: 'mill_temperature_celsius', help: 'In the mill.', registers }).set(-4.25);
const items = new client.Summary({ name: 'mill_sack_kilograms', help: 'What is in a sack.', percentiles: [0.5], registers });
[20, 25, 30].forEach((value) => items.observe(value));

http.createServer(async (request, response) => {
  response.setHeader('Content-Type', registry.contentType);
  response.end(await registry.metrics());
}).listen(Number(process.argv[2]), '127.0.0.1');
