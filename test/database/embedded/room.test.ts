import { closeSync, existsSync, mkdirSync, mkdtempSync, openSync, rmSync, statSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { embeddedLimits } from '../../../src/database/embedded/limits.ts';
import { createRoom } from '../../../src/database/embedded/room.ts';
import { settingsArguments, walSizeFor } from '../../../src/database/embedded/settings.ts';
import { databaseLimits } from '../../../src/database/limits.ts';

const limits = {
  ...embeddedLimits,
  diskReserveBytes: 3_000_000,
  diskReserveAtBytes: 5_000_000,
  diskLeastBytes: 1_000_000,
  logBytesMax: 1_000,
};

let folder: string;
let free: number;
let said: string[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'metrology-room-'));
  mkdirSync(join(folder, 'postgres'));
  free = 100_000_000;
  said = [];
});
afterEach(() => rmSync(folder, { recursive: true }));

const note = (_fields: object, message: string) => void said.push(message);
const open = () =>
  createRoom({
    clusterDir: join(folder, 'postgres'),
    logFile: join(folder, 'postgres.log'),
    log: { info: note, warn: note, error: note },
    limits,
    freeBytesOf: () => free,
  });
const reserve = () => statSync(join(folder, 'postgres-reserve'), { throwIfNoEntry: false })?.size;

test('holds room in reserve, gives it up on a full disk, and makes it again when there is ample room', () => {
  const room = open();
  room.keep();
  expect(reserve()).toBe(limits.diskReserveBytes);
  free = limits.diskLeastBytes - 1;
  expect(room.isFull()).toBe(true);
  room.keep();
  expect(reserve()).toBeUndefined();
  expect(said).toEqual([expect.stringContaining('the disk is full')]);
  // What has become free is for PostgreSQL: taken again, it would be full again.
  free = limits.diskReserveBytes + limits.diskReserveAtBytes - 1;
  room.keep();
  expect(reserve()).toBeUndefined();
  free++;
  room.keep();
  expect(reserve()).toBe(limits.diskReserveBytes);
});

test('makes no reserve where it would stop what is stored', () => {
  const { diskReserveAtBytes } = embeddedLimits;
  expect(diskReserveAtBytes).toBeGreaterThan(databaseLimits.diskFullBytes);
  free = limits.diskReserveBytes;
  open().keep();
  expect(reserve()).toBeUndefined();
});

test('the log of PostgreSQL is put aside while it is written, and stays bounded', () => {
  const logFile = join(folder, 'postgres.log');
  const written = openSync(logFile, 'a');
  const room = open();
  for (let i = 0; i < 20; i++) {
    writeSync(written, `${'x'.repeat(399)}\n`);
    room.keep();
    expect(statSync(logFile).size).toBeLessThan(limits.logBytesMax);
    if (existsSync(`${logFile}.1`)) expect(statSync(`${logFile}.1`).size).toBe(1_200);
  }
  expect(existsSync(`${logFile}.1`)).toBe(true);
  closeSync(written);
});

test('a log that cannot be copied is emptied all the same', () => {
  const logFile = join(folder, 'postgres.log');
  const written = openSync(logFile, 'a');
  writeSync(written, 'x'.repeat(2_000));
  closeSync(written);
  // A copy fails as on a full disk.
  mkdirSync(`${logFile}.1`);
  expect(() => open().keep()).not.toThrow();
  expect(statSync(logFile).size).toBe(0);
});

test.each([
  [400 * 1024 ** 2, '64MB'],
  [20 * 1024 ** 3, '1280MB'],
  [252 * 1024 ** 3, '4096MB'],
])('the write-ahead log has a sixteenth of a disk of %i bytes, within bounds', (bytes, size) => {
  expect(walSizeFor(bytes, embeddedLimits)).toBe(size);
});

test('no slot and no archive keeps the write-ahead log', () => {
  const given = settingsArguments(1);
  expect(given).toEqual(expect.arrayContaining(['max_slot_wal_keep_size=4GB', 'archive_mode=off', 'max_wal_size=4GB']));
});
