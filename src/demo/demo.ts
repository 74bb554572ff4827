import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Connection, findServer } from './client.ts';
import { type OwnServer, startOwnServer } from './own-server.ts';
import type { Output } from './progress.ts';
import { type MeasuredRecord, readSeattleWeather } from './record.ts';
import { streamRecord } from './stream.ts';

export interface DemoOptions {
  /** The server to use. Undefined: the one at the default address, or if none answers there, a new one for the demo. */
  endpoint?: string | undefined;
  defaultEndpoint: string;
  key?: string | undefined;
  /** The data folder in which a server may have written the first key. */
  dataDir: string;
  /** Path of the compiled command line, which starts a server. */
  program: string;
  environment: Record<string, string | undefined>;
  output: Output;
}

/**
 * Streams a measured record into a server, reads it back and compares. If the demo has started a server of its own, it
 * keeps running on a terminal until Ctrl-C, so that a person can look at it. Without a terminal it is stopped at the end.
 * @throws with a sentence that says what to do, when there is no server or no key
 */
export async function demo(options: DemoOptions): Promise<void> {
  const { output } = options;
  const record = await readSeattleWeather();
  const server = await connect(options);
  try {
    const channels = record.channels.map(({ name, units }) => `${name} (${units})`).join(', ');
    output.write(`${record.name}: ${record.times.length} hours of ${channels}, a day per request\n`);
    const dataId = await streamRecord(server, record, output);
    if (server.own === undefined) {
      output.write(nextSteps(server, dataId, record));
    } else if (output.isTTY) {
      output.write(nextSteps(server, dataId, record));
      output.write('The server of this demo runs until Ctrl-C; its data goes with it. One that stays: npm start\n');
      await server.own.ended;
    } else {
      output.write('The server of this demo stops now. To look at it: npm start, and npm run demo beside it.\n');
    }
  } finally {
    await server.own?.stop();
  }
}

interface Found extends Connection {
  /** The key as it can be written in a shell. */
  shellKey: string;
  own?: OwnServer;
}

async function connect(options: DemoOptions): Promise<Found> {
  const endpoint = (options.endpoint ?? options.defaultEndpoint).replace(/\/+$/, '');
  const found = await findServer(endpoint);
  if ('version' in found) {
    options.output.write(`metrology-server ${found.version} answers at ${endpoint}\n`);
    return { endpoint, ...(await findKey(options, endpoint)) };
  }
  if (options.endpoint !== undefined) {
    const advice = 'Start it, or leave AS_API_ENDPOINT and --endpoint away: then the demo starts a server of its own.';
    throw new Error(`No metrology-server at ${endpoint}: ${found.problem}.\n${advice}`);
  }
  options.output.write(`No metrology-server at ${endpoint} (${found.problem}): starting one for this demo …\n`);
  const own = await startOwnServer(options.program, options.environment);
  options.output.write(`It answers at ${own.endpoint}, with its data in ${own.folder}\n`);
  return { endpoint: own.endpoint, key: own.key, shellKey: own.key, own };
}

async function findKey({ key, environment, dataDir }: DemoOptions, endpoint: string) {
  if (key !== undefined) return { key, shellKey: key === environment.AS_API_KEY ? '$AS_API_KEY' : key };
  const path = join(dataDir, 'api-key');
  const text = await readFile(path, 'utf8').catch(() => '');
  if (text !== '') return { key: text.trim(), shellKey: `$(cat '${path}')` };
  throw new Error(
    `A key is needed for ${endpoint}: set AS_API_KEY or give --key; there is none in ${path}.\n` +
      'A new one: metrology-server keys create --organization default (in a checkout: npm run -s cli -- keys …)',
  );
}

function nextSteps({ endpoint, shellKey }: Found, dataId: string, { channels: [first] }: MeasuredRecord): string {
  const curl = `curl -H "X-API-KEY: ${shellKey}"`;
  return `
Look at it
  every route, to try out       ${endpoint}/docs
  the last two hours
    ${curl} "${endpoint}/tool-state/${dataId}/timeseries/?last_n=2"
  the first day of one channel, as it was sent
    ${curl} "${endpoint}/metrology/${dataId}/points/?channel=${first?.name}&to_chunk=0"
  its entry in the catalogue
    ${curl} "${endpoint}/data_entries/?data_ids=${dataId}"
  from Python (pip install atomscale): Client(api_key=…, endpoint="${endpoint}").get("${dataId}")[0].timeseries_data

`;
}
