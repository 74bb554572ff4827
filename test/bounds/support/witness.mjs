/*
 * Somebody else: another organization in a process of its own, so that what attackers do here takes no time from it. It sends
 * a chunk every 200 ms as the SDK does, opens and finalizes a stream twice a second, asks /healthz every 50 ms, and looks at
 * the memory of the server. Its parent says when it begins and ends, and gets the figures.
 */
import { readFileSync, readlinkSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { basename } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { gzipSync } from 'node:zlib';

const chunkEveryMs = 200;
const runEveryMs = 500;
const healthEveryMs = 50;
const tellsMax = 5;
/** Longest wait for answers that are still due when an attack is over, on a machine that has no processor for them. */
const endMsMax = 5_000;

const series = (points) =>
  `"timestamps":[${Array.from({ length: points }, (_, i) => 1_700_000_000 + i / 10)}],` +
  `"values":[${Array.from({ length: points }, (_, i) => i / 7)}]}`;
const small = series(100);
// Beyond the 64 KiB up to which bodies are small.
const large = series(3_000);

/** What is sent in turn: bodies as they are, compressed, large; on connections that are kept and on new ones. */
const kinds = [
  { name: 'small', readings: small, isNew: true },
  { name: 'small', readings: small },
  { name: 'compressed', readings: small, isGzip: true, isNew: true },
  { name: 'large', readings: large },
  { name: 'small', readings: small, isNew: true },
  { name: 'compressed', readings: small, isGzip: true },
  { name: 'large', readings: large, isNew: true },
];

let watch;
let sent = 0;

process.on('message', (message) => {
  if (message.order === 'begin') begin(message).then(() => process.send({ begun: true }), tell);
  else end().then((figures) => process.send({ figures }), tell);
});
process.on('disconnect', () => process.exit());

const tell = (error) => process.send({ failure: error.message });

async function begin({ port, pid, key, clockFile, answerMsMax }) {
  watch = {
    ...{ port, key, clockFile, answerMsMax },
    serverPids: nodePids(pid),
    agent: new Agent({ keepAlive: true }),
    pending: new Set(),
    residentMax: 0,
    figures: Object.fromEntries(
      ['chunks', 'runs', 'health'].map((name) => [name, { count: 0, worstMs: 0, wrong: 0, tells: [] }]),
    ),
  };
  const opening = { method: 'POST', path: '/tool-state/stream/initialize', body: initialization };
  const answer = await exchange(opening).answer;
  watch.dataId = JSON.parse(answer.body).data_id;
  watch.begunAt = Date.now();
  watch.timers = [
    setInterval(sendChunk, chunkEveryMs),
    setInterval(openAndFinalize, runEveryMs),
    setInterval(askHealth, healthEveryMs),
  ];
  sendChunk();
  openAndFinalize();
}

async function end() {
  for (const timer of watch.timers) clearInterval(timer);
  watch.isEnding = true;
  for (const deadline = performance.now() + endMsMax; watch.pending.size > 0; await sleep(20)) {
    const isLate = performance.now() > deadline;
    for (const one of watch.pending) {
      const ms = ownMs(one);
      if (ms < watch.answerMsMax && !isLate) continue;
      watch.pending.delete(one);
      note(one.figure, ms, `${one.what}: no answer`);
      one.abandon();
    }
  }
  // By then the server's clock has written down its last turn.
  await sleep(2 * healthEveryMs);
  watch.agent.destroy();
  return { ...watch.figures, residentMax: watch.residentMax, turnMs: longestTurnMs(watch) };
}

const initialization = '{"stream_name":"somebody else","points_per_chunk":100,"project_id":null}';

function sendChunk() {
  const index = sent++;
  const { name, readings, isGzip, isNew } = kinds[index % kinds.length];
  const text = `{"data_id":"${watch.dataId}","chunk_index":${index},"channel_name":"thickness",${readings}`;
  const body = isGzip ? gzipSync(text) : text;
  const what = `a ${name} chunk on a ${isNew ? 'new' : 'kept'} connection`;
  follow('chunks', what, 201, {
    method: 'POST',
    path: '/tool-state/stream/chunk',
    body,
    isNew,
    headers: isGzip ? { 'content-encoding': 'gzip' } : {},
  });
}

async function openAndFinalize() {
  const opening = { method: 'POST', path: '/tool-state/stream/initialize', body: initialization, isNew: true };
  const answer = await follow('runs', 'initialize', 200, opening);
  if (answer?.status !== 200 || watch.isEnding) return;
  const path = `/tool-state/stream/${JSON.parse(answer.body).data_id}/finalize`;
  await follow('runs', 'finalize', 200, { method: 'POST', path, body: '' });
}

function askHealth() {
  watch.residentMax = Math.max(
    watch.residentMax,
    watch.serverPids.reduce((sum, pid) => sum + residentBytes(pid), 0),
  );
  follow('health', '/healthz', 200, { method: 'GET', path: '/healthz' });
}

/*
 * How long an answer takes that came at a time. What the machine adds is no delay of the server: the time for which it had no
 * processor free, as Linux counts it, and the time for which it let nobody go on, which a thread that only wakes every few
 * milliseconds sees (a virtual machine that stands still, a share of the processor that is used up). But time in which the main
 * thread of the server has worked is the server's, whatever the others say.
 */
function ownMs(before, now = instant()) {
  const machineMs = now.waitedMs - before.waitedMs + (now.stoodMs - before.stoodMs);
  return Math.max(now.workedMs - before.workedMs, now.at - before.at - machineMs);
}

/** All figures of an instant that grow. */
const instant = () => ({ at: performance.now(), waitedMs: waitedMs(), workedMs: workedMs(), stoodMs: stood[0] });

/** Milliseconds for which the machine has let the thread below wait beyond its time. */
const stood = new Float64Array(new SharedArrayBuffer(8));
const wakeEveryMs = 4;
/** The thread has seen by then what the main thread has just seen. */
const wakenMs = 3 * wakeEveryMs;
new Worker(
  `const { workerData: { stood, everyMs } } = require('node:worker_threads');
  let last = performance.now();
  setInterval(() => {
    const now = performance.now();
    const late = now - last - everyMs;
    last = now;
    if (late > everyMs) stood[0] += late;
  }, everyMs);`,
  { eval: true, workerData: { stood, everyMs: wakeEveryMs } },
).unref();

/** Milliseconds for which the main threads of the server and this one have waited for a processor. */
function waitedMs() {
  return [process.pid, ...watch.serverPids].reduce((sum, pid) => sum + scheduledMs(pid, 1), 0);
}

/** Milliseconds for which the main threads of the server have had a processor. */
function workedMs() {
  return watch.serverPids.reduce((sum, pid) => sum + scheduledMs(pid, 0), 0);
}

const scheduledMs = (pid, field) => Number(read(`/proc/${pid}/task/${pid}/schedstat`).split(' ')[field] ?? 0) / 1e6;

function residentBytes(pid) {
  return Number(/VmRSS:\s+(\d+) kB/.exec(read(`/proc/${pid}/status`))?.[1] ?? 0) * 1_024;
}

/** The process that was started and those below it that run Node: one may hold the sockets and others serve. */
function nodePids(pid) {
  const children = read(`/proc/${pid}/task/${pid}/children`).trim().split(' ').filter(Boolean).map(Number);
  return [pid, ...children.filter(isNode).flatMap(nodePids)];
}

function isNode(pid) {
  try {
    return basename(readlinkSync(`/proc/${pid}/exe`)).startsWith('node');
  } catch {
    return false;
  }
}

function read(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    // It has ended, or this system has no /proc.
    return '';
  }
}

/** Sends one request and writes down how it was answered. @returns the answer, undefined where none came in this watch */
function follow(figureName, what, status, options) {
  const own = watch;
  const entry = { what, figure: own.figures[figureName], ...instant() };
  const { answer, abandon } = exchange(options);
  own.pending.add(entry);
  entry.abandon = abandon;
  return answer.then(
    async (got) => {
      const now = instant();
      await sleep(wakenMs);
      if (!own.pending.delete(entry)) return undefined;
      const wrong = got.status === status ? undefined : `${what}: ${got.status} ${got.body.slice(0, 150)}`;
      note(entry.figure, ownMs(entry, { ...now, stoodMs: stood[0] }), wrong);
      return got;
    },
    (error) => {
      if (own.pending.delete(entry)) note(entry.figure, ownMs(entry), `${what}: ${error.message}`);
    },
  );
}

function note(figure, ms, wrong) {
  figure.count++;
  figure.worstMs = Math.max(figure.worstMs, ms);
  if (wrong === undefined) return;
  figure.wrong++;
  if (figure.tells.length < tellsMax) figure.tells.push(`${wrong} (after ${Math.round(ms)} ms)`);
}

function exchange({ method, path, body, headers = {}, isNew = false }) {
  let abandon = () => {};
  const answer = new Promise((resolve, reject) => {
    const outgoing = request({
      ...{ host: '127.0.0.1', port: watch.port, method, path },
      agent: isNew ? new Agent() : watch.agent,
      headers: {
        'x-api-key': watch.key,
        ...(body !== undefined && { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }),
        ...headers,
      },
    });
    abandon = () => outgoing.destroy();
    outgoing.once('error', reject);
    outgoing.once('response', (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part) => {
        text += part;
      });
      response.once('error', reject);
      response.once('end', () => resolve({ status: response.statusCode, body: text }));
    });
    outgoing.end(body);
  });
  return { answer, abandon: () => abandon() };
}

/** Longest time since the watch began for which the server's event loop did not turn (loop-clock.mjs), in ms. */
function longestTurnMs({ clockFile, begunAt }) {
  const text = read(clockFile);
  if (text === '') throw new Error("the clock of the server's event loop does not run");
  const lines = text.split('\n').map((line) => line.split(' ').map(Number));
  return lines.reduce((longest, [at, ms]) => (at >= begunAt ? Math.max(longest, ms) : longest), 0);
}
