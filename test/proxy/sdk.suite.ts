/**
 * The official SDK through both proxies: with every form of an endpoint, and with TLS by an internal CA.
 * What each of its two clients needs to trust such a CA stands in docs/operations.md; this is the proof.
 */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { installReleases } from '../sdk/support/python-environment.ts';
import { nameOf, type Release } from '../sdk/support/releases.ts';
import { runToEnd } from '../sdk/support/run-to-end.ts';
import { type Bench, startBench } from './support/bench.ts';
import { type RunningProxy, startProxy, startTunnel } from './support/proxies.ts';

interface Step {
  do: 'stream' | 'read';
  endpoint: string;
  name: string;
  /** Of the environment, for this step alone. */
  settings?: Record<string, string>;
}

const installMsMax = 600_000;
const pythonMsMax = 60_000;
const script = join(import.meta.dirname, 'sdk_through.py');

/** `Client` joins by the rules of URLs, `TimeseriesStreamer` glues; so some forms lose a prefix, others double a slash. */
const endpointForms = ['', '/', '/lab', '/lab/'];

let bench: Bench;
let haproxy: RunningProxy;
let releases: Release[] = [];
const { ca, otherCa } = inject('certificates');

beforeAll(async () => {
  [bench, releases] = await Promise.all([startBench('nginx'), installReleases()]);
  haproxy = await startProxy('haproxy', bench.port, inject('certificates'));
}, installMsMax);
afterAll(async () => {
  await haproxy?.stop();
  await bench?.stop();
});

const proxies = (): [string, RunningProxy][] => [
  ['nginx', bench.proxy],
  ['haproxy', haproxy],
];

function installedIn(release: Release | undefined) {
  if (release?.installed === undefined) throw new Error(release?.failure ?? 'The newest release is not installed');
  return release.installed;
}

/** Lets one release do these steps in one process. @returns "ok" or the error, for each */
async function runSdk(steps: Step[], release?: Release): Promise<string[]> {
  const { python, environment } = installedIn(release ?? releases.find(({ isNewest }) => isNewest));
  const { PATH, HOME, LANG } = process.env;
  const said = await runToEnd(python, [script, JSON.stringify(steps.map((step) => ({ ...step, key: bench.key })))], {
    msMax: pythonMsMax,
    env: { PATH, HOME, LANG, ...environment },
  });
  return JSON.parse(said.trim().split('\n').at(-1) ?? '') as string[];
}

const bothSteps = (endpoint: string, name: string): Step[] => [
  { do: 'stream', endpoint, name },
  { do: 'read', endpoint, name },
];
/** Of the stream that was sent through this proxy with this form of an endpoint. */
const nameFor = (engine: string, form: string) => `${engine}-${endpointForms.indexOf(form)}`;

describe.sequential('the SDK through a proxy', () => {
  test('plain HTTP, with each form of an endpoint', async () => {
    const steps = proxies().flatMap(([engine, { http }]) =>
      endpointForms.flatMap((form) => bothSteps(`http://localhost:${http}${form}`, nameFor(engine, form))),
    );
    expect(await runSdk(steps)).toEqual(steps.map(() => 'ok'));
  });

  test('Client trusts an internal CA by REQUESTS_CA_BUNDLE, and without it refuses', async () => {
    const settings = { REQUESTS_CA_BUNDLE: ca };
    const steps = proxies().flatMap(([engine, { https }]) =>
      endpointForms.map((form): Step => {
        return { do: 'read', endpoint: `https://localhost:${https}${form}`, name: nameFor(engine, form), settings };
      }),
    );
    const untold = {
      do: 'read',
      endpoint: `https://localhost:${bench.proxy.https}`,
      name: nameFor('nginx', ''),
    } as const;
    const outcomes = await runSdk([...steps, untold]);
    expect(outcomes).toEqual([...steps.map(() => 'ok'), expect.stringMatching(/CERTIFICATE_VERIFY_FAILED/)]);
  });

  test('TimeseriesStreamer: releases before /tool-state trust a CA by SSL_CERT_FILE, later ones cannot be told to', async () => {
    const usesOpenssl = (release: Release) => !installedIn(release).has.has('streams_tool_state');
    const all = releases.filter((release) => installedIn(release).has.has('streamer'));
    const later = all.filter((release) => !usesOpenssl(release));
    // The last before the change, the first after it, and the newest.
    const streaming = [all.filter(usesOpenssl).at(-1), later[0], later.at(-1)].filter(
      (release) => release !== undefined,
    );
    expect(streaming).toHaveLength(3);
    const step: Step = { do: 'stream', endpoint: `https://localhost:${bench.proxy.https}`, name: 'internal CA' };
    // Everything by which programs and libraries are told to trust a CA; without SSL_CERT_FILE nobody does.
    const settings = { REQUESTS_CA_BUNDLE: ca, CURL_CA_BUNDLE: ca };
    const steps = [
      { ...step, settings },
      { ...step, settings: { ...settings, SSL_CERT_FILE: ca } },
    ];
    const refused = expect.stringMatching(/^RuntimeError: .*error sending request/);
    const outcomes = await Promise.all(streaming.map(async (one) => [nameOf(one), await runSdk(steps, one)]));
    const expected = streaming.map((one) => [nameOf(one), [refused, usesOpenssl(one) ? 'ok' : refused]]);
    expect(outcomes).toEqual(expected);
    // The end of the connection says why: the issuer is not among the roots that the package has compiled in.
    const refusals = bench.proxy.logged().match(/alert unknown ca/g) ?? [];
    expect(refusals.length).toBeGreaterThanOrEqual(streaming.length);
  });

  test('TimeseriesStreamer through stunnel on its own machine, which checks the certificate in its place', async () => {
    const tunnels = await Promise.all([
      startTunnel(bench.proxy.https, ca),
      startTunnel(haproxy.https, ca),
      startTunnel(haproxy.https, otherCa),
    ]);
    const [toNginx, toHaproxy, blind] = tunnels;
    const steps = [toNginx, toHaproxy].flatMap(({ http }) => [
      ...bothSteps(`http://127.0.0.1:${http}`, `tunnel-${http}-root`),
      ...bothSteps(`http://127.0.0.1:${http}/lab/`, `tunnel-${http}-prefix`),
    ]);
    const refused: Step = { do: 'stream', endpoint: `http://127.0.0.1:${blind.http}`, name: 'tunnel-refused' };
    const outcomes = await runSdk([...steps, refused]).finally(() => Promise.all(tunnels.map(({ stop }) => stop())));
    expect(outcomes).toEqual([...steps.map(() => 'ok'), expect.stringMatching(/^RuntimeError: /)]);
    expect(blind.logged()).toMatch(/certificate verify failed/i);
  });
});
