import { spawnSync } from 'node:child_process';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createMetrics } from '../../src/http/metrics.ts';
import { startTestServer, type TestServer } from '../support/test-server.ts';

/*
 * Names of metrics as Prometheus wants them. What `promtool check metrics` refuses is written down here, because it is not
 * installed everywhere; where it is, it is asked as well (test/deploy/check asks it of a running server, always).
 */

let server: TestServer;
let text: string;
beforeAll(async () => {
  server = await startTestServer();
  // Metrics with labels have lines only once something has been counted.
  const { json } = await server.post('/metrology/stream/initialize', { points_per_chunk: 1, unknown: 1 });
  const chunk = { data_id: json.data_id, chunk_index: 0, channel_name: 'p', timestamps: [1], values: [1] };
  const body = JSON.stringify(chunk).replace('"values":[1]', '"values":[9007199254740993]');
  expect((await server.post('/metrology/stream/chunk', body)).status).toBe(201);
  expect((await server.get('/nowhere')).status).toBe(404);
  text = (await server.app.inject({ url: '/metrics' })).payload;
});
afterAll(() => server.close());

interface Family {
  name: string;
  type: string;
  help: string;
}

const families = (metrics: string): Family[] =>
  [...metrics.matchAll(/^# HELP (\S+) ?(.*)\n# TYPE (\S+) (\w+)$/gm)].map(([, name, help, , type]) => ({
    name: name as string,
    help: help as string,
    type: type as string,
  }));

const abbreviated = /_(s|ms|us|ns|sec|b|kb|mb|gb|tb|pb|m|h|d)(_|$)/;
const notBase =
  /_(milliseconds|microseconds|nanoseconds|minutes|hours|days|weeks|bits|(kilo|mega|giga|kibi|mebi|gibi)(bytes|bits)|percent|celsius_degrees|kelvins?|fahrenheit)(_|$)/;

function problems({ name, type, help }: Family): string[] {
  const rules: [boolean, string][] = [
    [help.trim() !== '', 'no help'],
    [/^[a-z][a-z0-9_]*$/.test(name), 'not in snake case'],
    [(type === 'counter') === name.endsWith('_total'), 'counters, and nothing else, end in _total'],
    [['histogram', 'summary'].includes(type) || !/_(bucket|count|sum)$/.test(name), 'the end of a part of a histogram'],
    [!/_(gauge|counter|histogram|summary)(_|$)/.test(name), 'its type is in its name'],
    [!abbreviated.test(name), 'an abbreviated unit'],
    [!notBase.test(name), 'a unit that is no base unit'],
  ];
  return rules.flatMap(([holds, problem]) => (holds ? [] : [`${name}: ${problem}`]));
}

test('all that a server shows is named as Prometheus wants it', () => {
  const shown = families(text);
  expect(shown.length).toBe((text.match(/^# TYPE /gm) ?? []).length);
  const names = shown.map(({ name }) => name);
  expect(names).toEqual(
    expect.arrayContaining(['metrology_build_info', 'metrology_chunks_total', 'nodejs_active_handles']),
  );
  expect(new Set(names).size).toBe(names.length);
  expect(shown.flatMap(problems)).toEqual([]);
});

test('each of these rules is one that can be broken', () => {
  const family = { name: 'metrology_chunks_total', type: 'counter', help: 'some' };
  expect(problems(family)).toEqual([]);
  const broken: Partial<Family>[] = [
    { help: '' },
    { name: 'metrology_Chunks_total' },
    { type: 'gauge' },
    { name: 'metrology_chunks' },
    { name: 'metrology_chunks_count', type: 'gauge' },
    { name: 'metrology_gauge_of_chunks', type: 'gauge' },
    { name: 'metrology_wait_ms', type: 'gauge' },
    { name: 'metrology_wait_milliseconds', type: 'gauge' },
  ];
  for (const change of broken) expect([change, problems({ ...family, ...change }).length]).toEqual([change, 1]);
});

test('the release and its commit are a line that is 1, once for each build, whatever processes serve', async () => {
  expect(text.match(/^metrology_build_info\{version="\d+\.\d+\.\d+",commit="[^"]+"\} 1$/gm)).toHaveLength(1);
  const { AggregatorRegistry } = await import('prom-client');
  const one = await createMetrics(server.database).registry.getMetricsAsJSON();
  const all = await AggregatorRegistry.aggregate([one, one] as unknown as object[]).metrics();
  expect(all.match(/^metrology_build_info.*$/gm)).toEqual(text.match(/^metrology_build_info.*$/gm));
});

const isInstalled = spawnSync('promtool', ['--version']).error === undefined;
test.runIf(isInstalled)('promtool has nothing to say about them', () => {
  const { status, stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], { input: text, encoding: 'utf8' });
  expect({ status, said: `${stdout}${stderr}` }).toEqual({ status: 0, said: '' });
  const broken = spawnSync('promtool', ['check', 'metrics'], { input: '# TYPE a_total gauge\na_total 1\n' });
  expect(broken.status).not.toBe(0);
});
