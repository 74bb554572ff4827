// What builds of every age write for the tests of upgrades, through routes that all of them have.

const call = (endpoint, key) => async (method, path, body) => {
  const answer = await fetch(endpoint + path, {
    method,
    headers: { 'x-api-key': key, ...(body !== undefined && { 'content-type': 'application/json' }) },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
  return answer.json();
};

/** Each channel of a stream as it is read back in the end, with what was sent chunk by chunk. */
export const channels = {
  thickness: [
    { chunk_index: 0, timestamps: [1700000000, 1700000000.1, 1700000000.2], values: [0.1, 0, 1e300], units: 'nm' },
    { chunk_index: 1, timestamps: [1700000000.3, 1700000000.4, 1700000000.5], values: [null, 5e-324, 3], units: 'nm' },
    { chunk_index: 4, timestamps: [1700000001.2, 1700000001.3, 1700000001.4], values: [7, 8, 9], units: 'µm' },
  ],
  pressure: [{ chunk_index: 0, timestamps: [1700000000, 1700000001, 1700000002], values: [1e-9, 2e-9, 3e-9] }],
};

/** Writes a project, a sample, and a stream of this name; one chunk is replaced, and one is sent twice. */
export async function write(endpoint, key, name) {
  const send = call(endpoint, key);
  const { id: projectId } = await send('POST', '/projects/', { name: `project of ${name}` }).catch(() => ({}));
  const sample = await send('POST', '/physical_samples/', { name: `sample of ${name}` }).catch(() => undefined);
  const opened = await send('POST', '/tool-state/stream/initialize', {
    stream_name: name,
    points_per_chunk: 3,
    ...(sample?.id !== undefined && { physical_sample_id: sample.id }),
    ...(projectId !== undefined && { project_id: projectId }),
  });
  const data_id = opened.data_id;
  const chunk = (channel_name, one) => send('POST', '/tool-state/stream/chunk', { data_id, channel_name, ...one });
  const [first] = channels.thickness;
  await chunk('thickness', { ...first, values: [9, 9, 9] });
  for (const [name, chunks] of Object.entries(channels)) for (const one of chunks) await chunk(name, one);
  await chunk('pressure', channels.pressure[0]);
  await send('POST', `/tool-state/stream/${data_id}/finalize`);
}
