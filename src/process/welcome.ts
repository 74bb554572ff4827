import type { ProvidedKey } from '../auth/keys.ts';
import { authLimits } from '../auth/limits.ts';
import { signInLink } from '../auth/sessions.ts';
import { packageVersion } from '../lib/package-info.ts';

/**
 * The text that a start prints: the addresses of server, data and key, and Python code that can be pasted unchanged.
 * The start that makes the first key also shows a link that signs in to the page.
 * @param pageUrl the address at which a browser reaches the server; by default the endpoint
 */
export function welcome(endpoint: string, place: string, key: ProvidedKey, pageUrl = endpoint): string {
  return `
metrology-server ${packageVersion}

  Address  ${endpoint}
  Data     ${place}
  API key  ${describe(key)}
${signIn(key, pageUrl)}
Stream a first run from Python (pip install atomscale):

import os, time
from atomscale import Client
from atomscale.streaming import TimeseriesStreamer

endpoint = "${endpoint}"
api_key = ${pythonKey(key)}

streamer = TimeseriesStreamer(api_key=api_key, endpoint=endpoint, points_per_chunk=3)
data_id = streamer.initialize(stream_name="First run")
t = time.time()
streamer.run(data_id, "thickness", [([t, t + 1, t + 2], [0.0, 5.2, 10.1])], units="nm")
streamer.finalize(data_id)
print(Client(api_key=api_key, endpoint=endpoint).get(data_id)[0].timeseries_data)

`;
}

/** The text that a start prints while it waits for PostgreSQL. The welcome follows. */
export function waitingWelcome(endpoint: string): string {
  return `
metrology-server ${packageVersion}

  Address  ${endpoint}
  Waiting  for PostgreSQL, which does not answer yet (the log on standard error says why). Chunks are taken and wait
           with it; everything else follows when it is there.

`;
}

/** The line with the sign-in link. Empty for an endpoint that is a Unix socket, since a browser cannot open that. */
function signIn({ linkToken }: ProvidedKey, pageUrl: string, { linkSeconds } = authLimits): string {
  if (linkToken === undefined || !pageUrl.startsWith('http')) return '';
  return `  Sign in  ${signInLink(pageUrl, linkToken)} (once, within ${linkSeconds / 60} minutes)\n`;
}

function describe(key: ProvidedKey): string {
  switch (key.kind) {
    case 'new':
      return `${key.key} (shown this once: keep it)`;
    case 'file':
      return `in ${key.path}`;
    case 'bootstrap':
      return 'the value of BOOTSTRAP_API_KEY; the Python below reads it from AS_API_KEY';
    case 'existing':
      return (
        'made earlier; the Python below reads it from AS_API_KEY\n' +
        '           (another one: metrology-server keys create --organization default)'
      );
  }
}

function pythonKey(key: ProvidedKey): string {
  if (key.kind === 'new') return JSON.stringify(key.key);
  if (key.kind === 'file') return `open(${JSON.stringify(key.path)}).read().strip()`;
  return 'os.environ["AS_API_KEY"]';
}
