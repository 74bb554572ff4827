import type { Remembered } from '../app.ts';
import { newApiKey } from '../auth/api-key.ts';
import { ensureUser } from '../auth/people-store.ts';
import { insertKey } from '../auth/store.ts';
import type { Database, OwnerDatabase } from '../database/database.ts';
import { invalid } from '../errors.ts';
import { createFaults, type Faults } from './faults.ts';
import { createJournal, type Journal } from './journal.ts';
import type { TestingLimits } from './limits.ts';
import { createMovableClock, type MovableClock } from './movable-clock.ts';
import type { ClockBody, OrganizationBody } from './schemas.ts';
import { type Chance, chanceOf } from './seed.ts';
import { emptyDatabase, moveDatabaseClock, seedDatabase } from './store.ts';

/** The state of the test mode, and what the control routes do with it. */
export interface TestMode {
  journal: Journal;
  faults: Faults;
  clock: MovableClock;
  /** The organization that always exists. */
  first(): NewOrganization;
  /** Creates it, in a database that is freshly made. */
  begin(): Promise<void>;
  newOrganization(body: OrganizationBody): Promise<NewOrganization>;
  /** Moves the clock. @throws ApiError 422 for an invalid time */
  moveClock(body: ClockBody): Promise<{ now: string; offset_s: number }>;
  clockNow(): { now: string; offset_s: number };
  /** Empties everything, as at the start. Connections with requests under way are cut. */
  reset(): Promise<void>;
  /** The next UUID of the seed. */
  newId(): string;
  /** Set by the app when it is built. */
  remembered: Remembered;
}

export interface NewOrganization {
  organization_id: string;
  name: string;
  api_key: string;
}

interface Options {
  seed: string;
  database: Database;
  owner: OwnerDatabase;
  limits: TestingLimits;
  trueNow?: () => number;
  /** Cuts every connection except those of control requests. */
  cutConnections(): void;
}

/** Creates the mode; nothing is in the database yet. */
export function createTestMode(options: Options): TestMode {
  const { seed, database, owner, limits, cutConnections } = options;
  const clock = createMovableClock(options.trueNow);
  const journal = createJournal({ requestsMax: limits.journalRequestsMax, bytesMax: limits.journalBytesMax });
  const faults = createFaults({ seed, rulesMax: limits.faultRulesMax, delayMsMax: limits.faultDelayMsMax });
  let keys: Chance;
  let ids: Chance;
  let made: number;
  let first: NewOrganization;

  const newOrganization = async (body: OrganizationBody): Promise<NewOrganization> => {
    made++;
    // Drawn before the first await, so that two concurrent calls draw different keys.
    const apiKey = newApiKey((length) => keys.bytes(length));
    const name = body.name ?? `test-${made}`;
    const user = await ensureUser(database, name, 'tester');
    const end = body.key_expires_in_s === undefined ? {} : { end: { inSeconds: body.key_expires_in_s } };
    await insertKey(database, user, apiKey, { ...(body.scopes && { scopes: body.scopes }), ...end });
    return { organization_id: user.organization_id, name, api_key: apiKey };
  };
  const begin = async () => {
    keys = chanceOf(seed, 'keys');
    ids = chanceOf(seed, 'ids');
    made = 0;
    await seedDatabase(owner, seed);
    first = await newOrganization({});
  };
  const clockNow = () => ({ now: new Date(clock.now()).toISOString(), offset_s: clock.offsetMs() / 1_000 });
  const mode: TestMode = {
    journal,
    faults,
    clock,
    first: () => first,
    begin,
    newOrganization,
    newId: () => uuidOf(ids.bytes(16)),
    clockNow,
    async moveClock(body) {
      const offsetMs = offsetOf(body, clock, limits.clockSecondsMax);
      await moveDatabaseClock(owner, offsetMs);
      clock.moveTo(offsetMs);
      mode.remembered.forget();
      mode.remembered.catchUp();
      return clockNow();
    },
    async reset() {
      cutConnections();
      faults.clear();
      clock.moveTo(0);
      await emptyDatabase(owner);
      await begin();
      mode.remembered.forget();
      journal.clear();
    },
    remembered: { forget() {}, catchUp() {} },
  };
  return mode;
}

/** A UUID of version 4 from given bytes. */
function uuidOf(bytes: Buffer): string {
  const hex = bytes.toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20)}`;
}

/** @throws ApiError 422 for an invalid time, or one too far from the true time */
function offsetOf(body: ClockBody, clock: MovableClock, secondsMax: number): number {
  const { at, advance_s: advance, offset_s: offset } = body;
  const trueNow = clock.now() - clock.offsetMs();
  const wanted =
    at !== undefined
      ? Date.parse(at) - trueNow
      : offset !== undefined
        ? offset * 1_000
        : clock.offsetMs() + (advance as number) * 1_000;
  const field = Object.keys(body)[0] as string;
  if (Number.isNaN(wanted)) throw invalid(['body', field], 'say a time in ISO 8601, such as 2026-01-31T08:00:00Z', at);
  if (Math.abs(wanted) > secondsMax * 1_000) {
    throw invalid(['body', field], `the clock moves ${secondsMax} s (clockSecondsMax) from the true time at most`);
  }
  return Math.round(wanted);
}
