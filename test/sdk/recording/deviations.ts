import type { Exchange, Transcript } from './transcript.ts';

export interface Deviation {
  readonly says: string;
  /** Whether a release's transcript shows it. */
  readonly isSeenIn: (transcript: Transcript) => boolean;
}

/** What the releases do that the public documentation does not say, each with the look at a transcript that shows it. */
export const deviations: readonly Deviation[] = [
  {
    says: 'An endpoint with a slash at its end makes every path of the streamer begin with two slashes. A proxy must not answer those with a redirect, since that turns a POST into a GET.',
    isSeenIn: some(({ path }) => path.startsWith('//')),
  },
  {
    says: 'Streams go to `/tool-state/stream`, which the documentation does not mention; it describes `/metrology/stream`. Here both are the same routes.',
    isSeenIn: some(({ path }) => path.includes('/tool-state/stream/')),
  },
  {
    says: 'Time series are read from `/tool-state/{data_id}/timeseries/`.',
    isSeenIn: some(({ path }) => /^\/tool-state\/[^/]+\/timeseries\/$/.test(path)),
  },
  {
    says: 'Time series are read from `/metrology/{data_id}/timeseries/`, which answers both rows and properties, since the older releases understand only rows.',
    isSeenIn: some(({ path }) => /^\/metrology\/[^/]+\/timeseries\/$/.test(path)),
  },
  {
    says: '`push_multi` sends parallel requests, one for each channel, so some of them can fail; the documented `chunk/multi` is not used.',
    isSeenIn: inStep('push_multi', ({ path }) => path.endsWith('/chunk')),
  },
  {
    says: '`push_multi` sends one `chunk/multi`, which is stored whole or not at all.',
    isSeenIn: inStep('push_multi', ({ path }) => path.endsWith('/chunk/multi')),
  },
  {
    says: '`push_multi` also sends the channels without points, which are refused with 422; the SDK does not tell its user.',
    isSeenIn: inStep('push_multi', ({ status }) => status === 422),
  },
  {
    says: '`push` sends a chunk without points, which is refused with 422; the SDK does not tell its user.',
    isSeenIn: inStep('push of nothing', ({ status }) => status === 422),
  },
  {
    says: 'A reading that is not a finite number (NaN, an infinity) is sent as `null`.',
    isSeenIn: inStep('push', ({ body }) => body?.includes('null') ?? false),
  },
  {
    says: 'The streamer sends no User-Agent, so an access log shows its release only by the paths.',
    isSeenIn: inStep('initialize', ({ headers }) => headers['user-agent'] === undefined),
  },
  {
    says: 'Finalize is a POST without a body and without Content-Length; a proxy that requires a length breaks it.',
    isSeenIn: inStep('finalize', ({ headers }) => headers['content-length'] === undefined),
  },
  {
    says: 'To track a sample of a project, the SDK reads all projects and posts the whole settings of one back.',
    isSeenIn: inStep('initialize', ({ path }) => path.endsWith('/configuration')),
  },
  {
    says: 'To track a sample of a project, the SDK sends `POST …/configuration/tracking_samples`.',
    isSeenIn: inStep('initialize', ({ path }) => path.endsWith('/tracking_samples')),
  },
  {
    says: 'The stream is opened before samples and tags are looked up; when a look-up fails, an open stream without data stays in the catalogue.',
    isSeenIn: (transcript) => stepOf(transcript, 'initialize')[0]?.path.endsWith('/stream/initialize') ?? false,
  },
  {
    says: 'The first call is `GET /gateway/time`, without a key. If it is answered (`REFERENCE_CLOCK`), the SDK shifts all times by the offset that it measures. If it is 404, times are sent unchanged.',
    isSeenIn: some(({ path, headers }) => path === '/gateway/time' && headers['x-api-key'] === undefined),
  },
  {
    says: 'When the user asks for the type `metrology`, the SDK searches the catalogue for `tool_state`.',
    isSeenIn: inStep('search by type', ({ path }) => path.includes('data_type=tool_state')),
  },
  {
    says: '`last_accessed_datetime` is sent unchanged; here it filters by the last change.',
    isSeenIn: inStep('search by last access', ({ path }) => path.includes('last_accessed_datetime_min')),
  },
  {
    says: 'Polling uses the RHEED path also for other streams; this server answers it for them.',
    isSeenIn: inStep('polling', ({ path }) => path.startsWith('/rheed/timeseries/')),
  },
];

function some(test: (exchange: Exchange) => boolean): Deviation['isSeenIn'] {
  return ({ steps }) => steps.filter(({ call }) => call !== '').some(({ exchanges }) => exchanges.some(test));
}

function inStep(name: string, test: (exchange: Exchange) => boolean): Deviation['isSeenIn'] {
  return (transcript) => stepOf(transcript, name).some(test);
}

/** The calls of a step, without the one for the time, which runs beside all of them. */
function stepOf({ steps }: Transcript, name: string): Exchange[] {
  const exchanges = steps.find(({ step }) => step === name)?.exchanges ?? [];
  return exchanges.filter(({ path }) => path !== '/gateway/time');
}
