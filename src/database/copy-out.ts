import { once } from 'node:events';
import type { Readable } from 'node:stream';
import type pg from 'pg';
import { to as copyTo } from 'pg-copy-streams';
import { type CopyRow, createCopyRowReader } from '../lib/copy-binary.ts';
import { GrowingBytes } from '../lib/growing-bytes.ts';
import type { Access } from './access.ts';
import { runCopy } from './driver.ts';

/*
 * Arrays and long results leave PostgreSQL through COPY in its binary format. COPY takes no parameters, so such a
 * statement is built from checked UUIDs and numbers only.
 */

/**
 * Collects the whole output of one COPY in `image`. The connection is back in the pool before the output is used. A
 * connection on which the COPY failed is not used again.
 */
export async function copyOut({ pool }: Access, query: string, image = new GrowingBytes()): Promise<Buffer> {
  for (;;) {
    const client = await pool.connect();
    let failure: Error | undefined;
    try {
      await collect(client, query, image);
      return image.view();
    } catch (error) {
      failure = error as Error;
      if (!pool.runsAgain?.(client, error)) throw error;
    } finally {
      client.release(failure);
    }
  }
}

/** The same on a connection of the caller, in its transaction. */
export async function copyOutOn(client: pg.PoolClient, query: string, image = new GrowingBytes()): Promise<Buffer> {
  await collect(client, query, image);
  return image.view();
}

/**
 * Visits the rows of one COPY while they arrive, so that a long result is never in memory as a whole. The connection is
 * in use until the last row has been visited.
 * @param rest is awaited between the pieces in which rows arrive, of some thousand rows at most
 */
export async function copyRows(
  { pool }: Access,
  query: string,
  rest: () => Promise<void>,
  visit: (row: CopyRow) => void,
): Promise<void> {
  for (;;) {
    const client = await pool.connect();
    let failure: Error | undefined;
    let isHandedOut = false;
    try {
      const rows = createCopyRowReader(visit);
      for await (const piece of startCopy(client, query)) {
        await rest();
        isHandedOut = true;
        rows.push(piece as Buffer);
      }
      return rows.end();
    } catch (error) {
      failure = error as Error;
      if (!pool.runsAgain?.(client, error) || isHandedOut) throw error;
    } finally {
      client.release(failure);
    }
  }
}

/** A UUID as SQL text. */
export function uuidLiteral(text: string): string {
  if (!uuidPattern.test(text)) throw new Error('not a UUID');
  return `'${text}'::uuid`;
}

/** A whole number as SQL text. */
export const integerLiteral = (value: number) => `${integerText(value)}::bigint`;

/** Whole numbers as SQL text: one array. */
export const integersLiteral = (values: readonly number[]) => `'{${values.map(integerText).join(',')}}'::bigint[]`;

/** A finite number as SQL text, with all its digits. */
export function floatLiteral(value: number): string {
  if (!Number.isFinite(value)) throw new Error('not a finite number');
  return `'${value}'::float8`;
}

const uuidPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

function integerText(value: number): string {
  if (!Number.isSafeInteger(value)) throw new Error('not a whole number');
  return String(value);
}

async function collect(client: pg.PoolClient, query: string, image: GrowingBytes): Promise<void> {
  image.clear();
  const output = startCopy(client, query);
  output.on('data', (piece: Buffer) => image.push(piece));
  await once(output, 'end');
}

function startCopy(client: pg.PoolClient, query: string): Readable {
  return runCopy(client, copyTo(`copy (${query}) to stdout (format binary)`));
}
