// any order, sizes, gaps, replays, refusals, prefixes, chosen by fast-check and compared with a plain model in memory
import fc from 'fast-check';
import { openStream, type Prefix, prefixes } from '../support/chunks.ts';
import type { Client } from '../support/client.ts';
import { type Content, contentJson } from '../support/content.ts';
import type { Run } from '../support/run.ts';
import { openEmbeddedSite } from '../support/servers.ts';

interface Stream {
  dataId: string;
  pointsPerChunk: number;
  channels: Map<string, Map<number, Content>>;
}

/** Everything that the server should know. */
interface Model {
  streams: Stream[];
}

export interface Real {
  send(method: string, path: string, body?: string): ReturnType<Client['send']>;
  open(prefix: Prefix, pointsPerChunk: number): Promise<string>;
}

type Command = fc.AsyncCommand<Model, Real>;

const commandsOfRun = 80;
const runsAtOnce = 25;

export async function model(run: Run, builtFolder: string): Promise<void> {
  const wanted = run.size({ tiny: 300, small: 5_000, full: 100_000 });
  const site = await openEmbeddedSite(builtFolder);
  try {
    await site.start();
    const client = site.client();
    let operations = 0;
    const count = () => {
      operations++;
      run.operation();
    };
    const real: Real = {
      send: (...request) => {
        count();
        return client.send(...request);
      },
      open: (prefix, pointsPerChunk) => {
        count();
        return openStream(client, prefix, pointsPerChunk);
      },
    };
    for (let round = 0; operations < wanted; round++) {
      const failure = await checkModel(real, run.seed + round);
      run.seen('random sequences', runsAtOnce);
      if (failure === undefined) continue;
      run.blame(`the model, with fast-check's seed ${run.seed + round}`, failure);
      break;
    }
  } finally {
    await site.remove();
  }
}

/** @returns the smallest sequence that fails, and how, if one does */
export async function checkModel(
  real: Real,
  seed: number,
  { numRuns = runsAtOnce, endOnFailure = false } = {},
): Promise<string | undefined> {
  const property = fc.asyncProperty(fc.commands(commands, { maxCommands: commandsOfRun, size: 'max' }), async (all) => {
    const state: Model = { streams: [] };
    await fc.asyncModelRun(() => ({ model: state, real }), all);
    for (const stream of state.streams) {
      for (const name of stream.channels.keys()) await compare(real, stream, name, prefixes[0]);
    }
  });
  try {
    await fc.assert(property, { seed, numRuns, endOnFailure });
    return undefined;
  } catch (error) {
    const { message, cause } = error as Error;
    return `${(cause as Error | undefined)?.message ?? 'failed'}\n${message}`;
  }
}

const number = fc.oneof(
  { weight: 5, arbitrary: fc.double({ noNaN: true, noDefaultInfinity: true }) },
  { weight: 1, arbitrary: fc.constantFrom(0, -0, 5e-324, Number.MAX_VALUE, 2 ** 53 + 2) },
);
const time = fc.oneof(
  { weight: 4, arbitrary: fc.double({ min: 1.6e9, max: 1.9e9, noNaN: true }) },
  { weight: 1, arbitrary: number },
);
const content: fc.Arbitrary<Content> = fc
  .tuple(
    fc.array(fc.tuple(fc.option(time, { freq: 20 }), fc.option(number, { freq: 5 })), { minLength: 1, maxLength: 30 }),
    fc.constantFrom(undefined, '', 'nm', 'Å/s'),
  )
  .map(([points, units]) => ({
    timestamps: points.map(([at]) => at),
    values: points.map(([, value]) => value),
    units,
  }));
const prefix = fc.constantFrom(...prefixes);
const slot = fc.nat({ max: 2 });
const index = fc.oneof(
  { weight: 6, arbitrary: fc.nat({ max: 8 }) },
  { weight: 1, arbitrary: fc.nat({ max: 2 ** 31 - 1 }) },
);
const names = ['p', 'thickness', 'T 1/ü', '__proto__', 'Time', '7'];
const channels = fc
  .tuple(fc.shuffledSubarray(names, { minLength: 1, maxLength: 4 }), fc.array(content, { minLength: 4, maxLength: 4 }))
  .map(([chosen, contents]) => chosen.map((name, i) => [name, contents[i] as Content] as const));

const commands: fc.Arbitrary<Command>[] = [
  fc.tuple(prefix, fc.integer({ min: 1, max: 1_000 })).map((all) => open(...all)),
  ...Array.from({ length: 4 }, () => fc.tuple(slot, prefix, index, channels, fc.boolean()).map((all) => send(...all))),
  fc.tuple(slot, prefix, fc.nat()).map((all) => replay(...all)),
  fc
    .tuple(slot, prefix, fc.constantFrom('empty', 'lengths', 'index', 'unknown', 'one of two'))
    .map((all) => refuse(...all)),
  fc.tuple(slot, prefix).map((all) => finalize(...all)),
  fc.tuple(slot, prefix, fc.nat()).map((all) => look(...all)),
  fc.tuple(slot, prefix, fc.nat()).map((all) => look(...all)),
];

/** A command on one of the streams that are open; without one it is left out. */
function onStream(at: number, words: string, act: (stream: Stream, real: Real) => Promise<void>): Command {
  return {
    check: (state) => state.streams.length > 0,
    run: (state, real) => act(state.streams[at % state.streams.length] as Stream, real),
    toString: () => `stream ${at}: ${words}`,
  };
}

function open(under: Prefix, pointsPerChunk: number): Command {
  return {
    check: () => true,
    async run(state, real) {
      state.streams.push({ dataId: await real.open(under, pointsPerChunk), pointsPerChunk, channels: new Map() });
    },
    toString: () => `open under ${under} with ${pointsPerChunk} points per chunk`,
  };
}

function send(
  at: number,
  under: Prefix,
  chunkIndex: number,
  contents: readonly (readonly [string, Content])[],
  isMulti: boolean,
): Command {
  const told = contents.map(([name, one]) => `"${name}": {${contentJson(one)}}`).join(', ');
  return onStream(at, `chunk ${chunkIndex} under ${under}: ${told}`, async (stream, real) => {
    for (const [name, one] of contents) chunksOf(stream, name).set(chunkIndex, one);
    await store(real, stream, under, chunkIndex, contents, isMulti);
  });
}

function replay(at: number, under: Prefix, choice: number): Command {
  return onStream(at, `again under ${under}, choice ${choice}`, async (stream, real) => {
    const all = [...stream.channels].flatMap(([name, chunks]) => [...chunks].map(([i, one]) => ({ name, i, one })));
    const chosen = all[choice % all.length];
    if (chosen !== undefined) await store(real, stream, under, chosen.i, [[chosen.name, chosen.one]], choice % 2 === 0);
  });
}

/** Sends, and expects the exact totals of all its channels. */
async function store(
  real: Real,
  stream: Stream,
  under: Prefix,
  chunkIndex: number,
  contents: readonly (readonly [string, Content])[],
  isMulti: boolean,
): Promise<void> {
  const head = `{"data_id":"${stream.dataId}","chunk_index":${chunkIndex}`;
  const members = contents.map(([name, one]) => `${JSON.stringify(name)}:{${contentJson(one)}}`);
  const [first] = contents;
  const isSingle = contents.length === 1 && !isMulti && first !== undefined;
  const body = isSingle
    ? `${head},"channel_name":${JSON.stringify(first[0])},${contentJson(first[1])}}`
    : `${head},"channels":{${members.join(',')}}}`;
  const { status, body: text } = await real.send('POST', `${under}/chunk${isSingle ? '' : '/multi'}`, body);
  expectEqual(`status of ${text}`, status, 201);
  const receipts = [JSON.parse(text)].flat() as { channel_name: string; total_points: number }[];
  const totals = receipts.map(({ channel_name, total_points }) => `${channel_name}: ${total_points}`).sort();
  expectEqual(
    'total points',
    totals.join(),
    contents
      .map(([name]) => `${name}: ${pointsOf(stream, name)}`)
      .sort()
      .join(),
  );
}

function refuse(at: number, under: Prefix, kind: string): Command {
  return onStream(at, `${kind}, to be refused, under ${under}`, async ({ dataId }, real) => {
    const chunk = { data_id: dataId, chunk_index: 3, channel_name: 'p', timestamps: [1], values: [2] };
    const bodies: Record<string, object> = {
      empty: { ...chunk, timestamps: [], values: [] },
      lengths: { ...chunk, values: [2, 3] },
      index: { ...chunk, chunk_index: -1 },
      unknown: { ...chunk, data_id: '00000000-0000-4000-8000-000000000000' },
      'one of two': { data_id: dataId, chunk_index: 3, channels: { p: chunk, q: { timestamps: [1], values: [] } } },
    };
    const path = `${under}/chunk${kind === 'one of two' ? '/multi' : ''}`;
    const { status, body } = await real.send('POST', path, JSON.stringify(bodies[kind]));
    expectEqual(`status of ${body}`, status, kind === 'unknown' ? 404 : 422);
  });
}

function finalize(at: number, under: Prefix): Command {
  return onStream(at, `finalize under ${under}`, async ({ dataId }, real) => {
    const { status, body } = await real.send('POST', `${under}/${dataId}/finalize`);
    expectEqual(`status of ${body}`, status, 200);
    expectEqual('data_id', JSON.parse(body).data_id, dataId);
  });
}

function look(at: number, under: Prefix, choice: number): Command {
  return onStream(at, `compare, choice ${choice}`, async (stream, real) => {
    const known = [...stream.channels.keys()];
    const name = known[choice % known.length];
    if (name !== undefined) await compare(real, stream, name, under);
  });
}

/** The channel as the API shows it is the channel of the model, bit for bit. */
async function compare(real: Real, stream: Stream, name: string, under: Prefix): Promise<void> {
  const kind = under === '/metrology/stream' ? 'metrology' : 'tool-state';
  const path = `/${kind}/${stream.dataId}/points/?channel=${encodeURIComponent(name)}`;
  const { status, body } = await real.send('GET', path);
  expectEqual(`status of ${body.slice(0, 200)}`, status, 200);
  const shown = JSON.parse(body) as { point_count: number; chunks: Record<string, unknown>[] };
  const chunks = [...chunksOf(stream, name)].sort(([one], [other]) => one - other);
  expectEqual('point_count', shown.point_count, pointsOf(stream, name));
  expectEqual('number of chunks', shown.chunks.length, chunks.length);
  for (const [position, [chunkIndex, one]] of chunks.entries()) {
    const chunk = shown.chunks[position] as Record<string, unknown>;
    expectEqual('chunk_index', chunk.chunk_index, chunkIndex);
    expectEqual('start_offset', chunk.start_offset, chunkIndex * stream.pointsPerChunk);
    expectEqual('units', chunk.units, one.units || null);
    for (const key of ['timestamps', 'values'] as const) {
      const list = chunk[key] as unknown[];
      expectEqual(`length of ${key}`, list.length, one[key].length);
      for (const [i, value] of one[key].entries()) expectEqual(`${key}[${i}] of chunk ${chunkIndex}`, list[i], value);
    }
  }
}

function chunksOf({ channels: all }: Stream, name: string): Map<number, Content> {
  const chunks = all.get(name) ?? new Map<number, Content>();
  all.set(name, chunks);
  return chunks;
}

const pointsOf = (stream: Stream, name: string) =>
  [...chunksOf(stream, name).values()].reduce((sum, { values }) => sum + values.length, 0);

function expectEqual(what: string, found: unknown, expected: unknown): void {
  if (!Object.is(found, expected)) throw new Error(`${what}: ${shown(found)} instead of ${shown(expected)}`);
}

const shown = (value: unknown) => (Object.is(value, -0) ? '-0' : String(value));
