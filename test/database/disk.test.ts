import pg from 'pg';
import { expect, test } from 'vitest';
import { createDisk, diskFailure, type Room } from '../../src/database/disk.ts';
import { isAway, isReadable, passingFailure } from '../../src/database/failures.ts';

const mib = 1024 ** 2;
const bounds = { diskFullBytes: 10 * mib, diskKeepMs: 100, diskFullSaidMs: 5_000 };

/** A disk whose room a test sets, and the lines of the log that it has caused. */
function openDisk() {
  const state = { folder: '/data' as string | undefined, free: 1_000 * mib, ms: 0, looks: 0 };
  const lines: string[] = [];
  const note = (kind: string) => (_fields: object, message: string) => void lines.push(`${kind}: ${message}`);
  const roomOf = async (): Promise<Room> => {
    state.looks++;
    if (Number.isNaN(state.free)) throw new Error('gone');
    return { free: state.free, size: 2_000 * mib };
  };
  const options = { folder: () => state.folder, warnBytes: 100 * mib, refuseBytes: 50 * mib, roomOf };
  const disk = createDisk(options, bounds, () => state.ms);
  const look = async (freeMib?: number) => {
    state.ms += bounds.diskKeepMs;
    if (freeMib !== undefined) state.free = freeMib * mib;
    await disk.look({ warn: note('warn'), error: note('error') });
  };
  return { state, lines, disk, look };
}

const full = Object.assign(new pg.DatabaseError('could not extend file', 0, 'error'), { code: '53100' });

test('each mark is said once when it is passed, and again when it changes', async () => {
  const { lines, disk, look } = openDisk();
  for (const free of [1_000, 99, 90, 98, 49, 9, 9, 1_000]) await look(free);
  expect(lines).toEqual([
    'warn: The disk of the database has less room than DISK_WARN_BYTES, 100 MiB (99 MiB are left).',
    expect.stringMatching(/^error: .* DISK_REFUSE_BYTES, 50 MiB \(49 MiB are left\): no new stream is opened/),
    expect.stringMatching(
      /^error: The disk of the database is full: 9 MiB are left, and below 10 MiB \(diskFullBytes\)/,
    ),
    'warn: the disk of the database has room again',
  ]);
  expect(disk.warning()).toBeUndefined();
});

test.each([
  [101, {}],
  [99, { warns: true }],
  [49, { warns: true, refuses: true }],
  [9, { warns: true, refuses: true, isFull: true }],
])('with %i MiB', async (free, { warns = false, refuses = false, isFull = false }: Record<string, boolean>) => {
  const { disk, look } = openDisk();
  await look(free);
  expect([disk.warning(), disk.refusal(), disk.full()].map((one) => one !== undefined)).toEqual([
    warns,
    refuses,
    isFull,
  ]);
});

test('a disk that stands at a mark does not fill the log', async () => {
  const { lines, look } = openDisk();
  for (let i = 0; i < 20; i++) await look(i % 2 === 0 ? 99 : 101);
  expect(lines).toHaveLength(1);
  await look(106);
  expect(lines).toHaveLength(2);
});

test('a folder that becomes known later is looked at, and one that is gone says nothing', async () => {
  const { state, disk, look } = openDisk();
  state.folder = undefined;
  await look(9);
  expect([disk.room(), disk.full()]).toEqual([undefined, undefined]);
  state.folder = '/data';
  await look();
  expect(disk.full()).toContain('9 MiB are left');
  await look(Number.NaN);
  expect([disk.room(), disk.warning()]).toEqual([undefined, undefined]);
});

test('all who ask within diskKeepMs share a look', async () => {
  const { state, disk, look } = openDisk();
  await look();
  await Promise.all([disk.look(), disk.look()]);
  expect(state.looks).toBe(1);
  await Promise.all([look(), disk.look()]);
  expect(state.looks).toBe(2);
});

test('of a disk that is not known PostgreSQL says that it is full, for a while', async () => {
  const { state, disk, look, lines } = openDisk();
  state.folder = undefined;
  disk.note(new Error('another'));
  expect(disk.full()).toBeUndefined();
  disk.note(full);
  expect(disk.full()).toBe('The disk of the database is full: PostgreSQL has no room to store anything.');
  await look();
  state.ms += bounds.diskFullSaidMs;
  expect(disk.full()).toBeUndefined();
  await look();
  expect(lines).toEqual([expect.stringMatching(/^error: .*is full/), expect.stringMatching(/^warn: .*room again/)]);
});

test('who would store something waits as for a database that is away, and it can be read', async () => {
  const { disk, look } = openDisk();
  expect(diskFailure(disk)).toBeUndefined();
  await look(9);
  const failure = diskFailure(disk);
  expect([isAway(failure), isReadable(failure)]).toEqual([true, true]);
  expect(passingFailure(failure)).toMatch(/^The disk of the database is full: .* nothing is stored$/);
  expect(passingFailure(full)).toBe('The disk of the database is full');
});
