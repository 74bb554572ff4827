import { parseArgs } from 'node:util';

/** How much is measured. The same benches run at full size, as a soak, and tiny in the test suite. */
export interface Options {
  /** Rounds of each side of a row, alternating; the median counts. */
  rounds: number;
  /** Seconds of one round that count. */
  seconds: number;
  /** Seconds of load before that, which do not count: in the first seconds Node compiles the code that is used most. */
  warmSeconds: number;
  connections: number;
  streams: number;
  generator: 'wrk' | 'node';
  /** Points of the channel that is read back. */
  readPoints: number;
  /** Points of the channel that is read down-sampled. */
  sampledPoints: number;
  /** Points that are stored to measure their bytes. */
  sizedPoints: number;
  /** Points that are stored before the soak measures its speed. */
  storedPoints: number;
  /** The memory of the server after this many chunks is compared with that after a twentieth of them. */
  soakChunks: number;
  /** How long the latency is watched. */
  latencySeconds: number;
  /** URL of a PostgreSQL on which each server gets a database. Without it each round has an embedded one of its own. */
  postgres: string | undefined;
  /** Servers are kept from row to row, and other databases are left out: it shows that the benches work, not how fast. */
  tiny: boolean;
}

const full = {
  rounds: 3,
  seconds: 4,
  warmSeconds: 3,
  connections: 128,
  streams: 16,
  readPoints: 1_000_000,
  sampledPoints: 2_000_000,
  sizedPoints: 3_000_000,
  storedPoints: 100_000_000,
  soakChunks: 2_000_000,
  latencySeconds: 30,
};

const tiny: typeof full = {
  rounds: 1,
  seconds: 0.25,
  warmSeconds: 0.1,
  connections: 8,
  streams: 4,
  readPoints: 20_000,
  sampledPoints: 20_000,
  sizedPoints: 20_000,
  storedPoints: 50_000,
  soakChunks: 1_000,
  latencySeconds: 0.5,
};

export interface Arguments {
  options: Options;
  only: string[];
  soak: boolean;
  list: boolean;
  json: string | undefined;
  markdown: string | undefined;
  render: string | undefined;
}

export const usage = `Usage: npm run bench [-- OPTIONS]
  --soak              the rows that need many chunks, instead of the others
  --list              name the rows and stop
  --only ROW          this row only; may be repeated
  --rounds N          rounds of each side (${full.rounds})
  --seconds N         counted seconds of each round (${full.seconds})
  --connections N     (${full.connections})
  --streams N         (${full.streams})
  --generator NAME    wrk or node (wrk where it is installed)
  --sampled-points N  points of the channel that is read down-sampled (${full.sampledPoints})
  --stored-points N   soak: points stored before the speed is measured (${full.storedPoints})
  --chunks N          soak: chunks before the memory is measured (${full.soakChunks})
  --latency-seconds N soak: how long the latency is watched (${full.latencySeconds})
  --postgres URL      make a database for each server there; otherwise each round has an embedded PostgreSQL of its own
  --tiny              a few seconds for everything, without other databases: shows that the benches work
  --json FILE         where the results go (bench/results/)
  --markdown FILE     also put the table into this file, between its markers
  --render FILE       measure nothing: show the results in this file
Other benches, each as the first option: --cluster, --first-chunk, --flood, --overviews, --packing, --servers, --settings, --shares,
--workers`;

/** @throws TypeError for an option that does not exist */
export function readArguments(args: string[], hasWrk: boolean): Arguments {
  const { values } = parseArgs({
    args,
    options: {
      ...{ list: { type: 'boolean' }, soak: { type: 'boolean' }, tiny: { type: 'boolean' } },
      only: { type: 'string', multiple: true },
      ...{ rounds: { type: 'string' }, seconds: { type: 'string' }, connections: { type: 'string' } },
      ...{ streams: { type: 'string' }, generator: { type: 'string' }, postgres: { type: 'string' } },
      'sampled-points': { type: 'string' },
      ...{ 'stored-points': { type: 'string' }, chunks: { type: 'string' }, 'latency-seconds': { type: 'string' } },
      ...{ json: { type: 'string' }, markdown: { type: 'string' }, render: { type: 'string' } },
    },
  });
  const size = values.tiny ? tiny : full;
  const number = (text: string | undefined, fallback: number) => {
    if (text === undefined) return fallback;
    if (!(Number(text) > 0)) throw new TypeError(`"${text}" is no number above 0`);
    return Number(text);
  };
  return {
    options: {
      ...size,
      rounds: number(values.rounds, size.rounds),
      seconds: number(values.seconds, size.seconds),
      connections: number(values.connections, size.connections),
      streams: number(values.streams, size.streams),
      sampledPoints: number(values['sampled-points'], size.sampledPoints),
      storedPoints: number(values['stored-points'], size.storedPoints),
      soakChunks: number(values.chunks, size.soakChunks),
      latencySeconds: number(values['latency-seconds'], size.latencySeconds),
      generator: (values.generator ?? (hasWrk ? 'wrk' : 'node')) === 'wrk' ? 'wrk' : 'node',
      postgres: values.postgres,
      tiny: values.tiny ?? false,
    },
    only: values.only ?? [],
    soak: values.soak ?? false,
    list: values.list ?? false,
    json: values.json,
    markdown: values.markdown,
    render: values.render,
  };
}
