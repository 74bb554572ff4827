import { startTestServer, type TestLimits, type TestServer } from '../../support/test-server.ts';

export interface Lab {
  server: TestServer;
  address: string;
  key: string;
  close(): Promise<void>;
}

/** A server that a browser reaches, with a database of its own. */
export async function openLab(limits: TestLimits = {}): Promise<Lab> {
  const server = await startTestServer({}, limits);
  const address = await server.app.listen({ host: '127.0.0.1', port: 0 });
  return { server, address, key: server.keys.ada, close: () => server.close() };
}

export type Send = (path: string, body: unknown) => Promise<{ status: number; json: Record<string, string> }>;

export const sendTo =
  (server: TestServer, key = server.keys.ada): Send =>
  (path, body) =>
    server.send(path.startsWith('PATCH ') ? 'PATCH' : 'POST', path.replace('PATCH ', ''), body, key);

export async function accepted(answer: Promise<{ status: number; json: Record<string, string> }>) {
  const { status, json } = await answer;
  if (status >= 300) throw new Error(`${status} ${JSON.stringify(json)}`);
  return json;
}

interface NewRun {
  name?: string;
  pointsPerChunk?: number;
  sample?: string;
  project?: string;
  tags?: string[];
}

export async function openRun(
  send: Send,
  { name = 'Run', pointsPerChunk = 100, sample, project, tags = [] }: NewRun = {},
) {
  const sampleId = sample && (await accepted(send('/physical_samples/', { name: sample }))).id;
  const projectId = project && (await accepted(send('/projects/', { name: project }))).id;
  const { data_id: dataId } = await accepted(
    send('/metrology/stream/initialize', {
      ...{ stream_name: name, points_per_chunk: pointsPerChunk },
      ...(sampleId && { physical_sample_id: sampleId }),
      ...(projectId && { project_id: projectId }),
    }),
  );
  for (const tag of tags) {
    const { id } = await accepted(send('/tags/', { name: tag }));
    await accepted(send('/tags/data-items/', { data_ids: [dataId], tag_ids: [id] }));
  }
  return dataId as string;
}

export interface Readings {
  timestamps: (number | null)[];
  values: (number | null)[];
  units?: string;
}

export const sendChunk = (send: Send, dataId: string, index: number, channels: Record<string, Readings>) =>
  accepted(send('/metrology/stream/chunk/multi', { data_id: dataId, chunk_index: index, channels }));

export const finalize = (send: Send, dataId: string) => accepted(send(`/metrology/stream/${dataId}/finalize`, {}));

/** A growth run such as a lab has: a film grows, a temperature swings in, a pressure falls over decades. */
export function growth(from: number, count: number, startSeconds: number, stepSeconds = 0.1): Record<string, Readings> {
  const steps = Array.from({ length: count }, (_, i) => from + i);
  const timestamps = steps.map((i) => startSeconds + i * stepSeconds);
  const noise = (i: number, k: number) => Math.sin(i * 12.9898 * k) * Math.cos(i * 78.233);
  return {
    thickness: {
      timestamps,
      values: steps.map((i) => i * 0.021 + Math.sin(i / 40) * 0.4 + noise(i, 1) * 0.05),
      units: 'nm',
    },
    'growth rate': {
      timestamps,
      values: steps.map((i) => 2.1 + Math.sin(i / 60) * 0.3 + noise(i, 2) * 0.08),
      units: 'Å/s',
    },
    'substrate temperature': {
      timestamps,
      values: steps.map((i) => 580 + 40 * Math.exp(-i / 300) * Math.cos(i / 30) + noise(i, 3) * 0.4),
      units: '°C',
    },
    'chamber pressure': {
      timestamps,
      values: steps.map((i) => 2e-8 * (1 + 30 * Math.exp(-i / 250)) * (1 + 0.04 * noise(i, 4))),
      units: 'mbar',
    },
  };
}
