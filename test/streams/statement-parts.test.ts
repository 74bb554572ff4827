import type pg from 'pg';
import { expect, test } from 'vitest';
import { toChunkImage } from '../../src/streams/chunk-image.ts';
import type { KnownRow } from '../../src/streams/ingest-rows.ts';
import { inTwoForms } from '../../src/streams/statement-forms.ts';
import { sendInParts } from '../../src/streams/statement-parts.ts';

const row = (name: string, value: number | null) =>
  ({ channelName: name, image: toChunkImage({ timestamps: [1], values: [value] }) }) as KnownRow;
const rows = (count: number, value: number | null) => Array.from({ length: count }, (_, i) => row(`${i}`, value));

/** Sends rows to a connection that writes down what came, by turn of the event loop. */
async function send(all: KnownRow[], limits: object, fails = -1) {
  const turns: number[][] = [];
  let isCounting = false;
  let sent = 0;
  const client = {
    query: async ({ values }: { values: unknown[] }) => {
      if (!isCounting) {
        isCounting = true;
        turns.push([]);
        setImmediate(() => {
          isCounting = false;
        });
      }
      turns.at(-1)?.push(values.length);
      if (sent++ === fails) throw new Error('failed');
      return { rows: values };
    },
  } as unknown as pg.PoolClient;
  const bounds = { flushRowsMax: 5, statementRowsMax: 4, ...limits };
  const statement = inTwoForms('s', 0, () => 's');
  const options = { limits: bounds, form: 'any streams' as const };
  const answers = await sendInParts(client, all, options, statement, (part) =>
    part.map(({ channelName }) => channelName),
  );
  return { turns, answers };
}

test('what fits into a flush goes out in one statement, whatever of it is absent', async () => {
  expect((await send([...rows(2, 1), ...rows(2, null)], {})).turns).toEqual([[4]]);
});

test('of a request of more than a flush, statementRowsMax go out in a turn, and the answers come in order', async () => {
  const { turns, answers } = await send(rows(10, 1), {});
  expect(turns).toEqual([[4], [4], [2]]);
  expect(answers).toEqual(rows(10, 1).map(({ channelName }) => channelName));
});

test('one part that fails is the error of all, also while others are still to be sent', async () => {
  await expect(send(rows(10, 1), {}, 0)).rejects.toThrow('failed');
});
