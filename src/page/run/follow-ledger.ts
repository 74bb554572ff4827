import type { Ledger, LedgerChannel } from '../api/ledger.ts';
import type { LiveChannel } from '../live/protocol.ts';
import { isLedgerStale, ledgerAfter } from './channel-facts.ts';

/** When the ledger is read; a test makes the times small. */
export const ledgerReadLimits = {
  /** The shortest time between two reads. */
  readMsMin: 3_000,
  /**
   * Channels that have only grown are read again when nothing has come for this long: an event does not tell all, such as
   * the absent readings of a chunk.
   */
  quietMs: 2_000,
  /** The ledger is read after the first picture. Where none comes, as when all plots are hidden, it is read after this time. */
  pictureMsMax: 5_000,
  /** More channels than this are read as all channels. */
  namesMax: 50,
};

export interface LedgerFollower {
  /** To be called when the picture is drawn: the ledger is read for the first time, if it was not yet. */
  begin(): void;
  /** To be called with each event of the run. */
  changed(channels: readonly LiveChannel[]): void;
  close(): void;
}

interface FollowerOptions {
  /** @param channels all if none is named */
  read(channels: readonly string[]): Promise<Ledger>;
  onLedger(ledger: Ledger): void;
  limits?: Partial<typeof ledgerReadLimits>;
}

/** Keeps the ledger of a run up to date. It adds what events tell, and reads again what they do not tell. */
export function followLedger({ read, onLedger, limits: given }: FollowerOptions): LedgerFollower {
  const limits = { ...ledgerReadLimits, ...given };
  const channels = new Map<string, LedgerChannel>();
  /** Channels that have changed since they were read. */
  const stale = new Set<string>();
  let isUrgent = false;
  let head: Omit<Ledger, 'channels'> | undefined;
  let readAt = Number.NEGATIVE_INFINITY;
  /** Changes that have come while the ledger is being read. Its answer may be older than they are. */
  let meanwhile: LiveChannel[] | undefined;
  let isBegun = false;
  let isClosed = false;

  const readNow = async () => {
    const names = [...stale];
    stale.clear();
    [isBegun, isUrgent, readAt, meanwhile] = [true, false, performance.now(), []];
    const answer = await read(names.length > limits.namesMax ? [] : names).catch(() => undefined);
    const changes = meanwhile;
    meanwhile = undefined;
    if (isClosed) return;
    if (answer === undefined) {
      for (const name of names) stale.add(name);
      isUrgent = true;
    } else {
      const { channels: found, ...rest } = answer;
      head = rest;
      for (const channel of found) channels.set(channel.channel_name, channel);
    }
    take(changes);
  };
  let timer = setTimeout(() => void readNow(), limits.pictureMsMax);
  const plan = () => {
    clearTimeout(timer);
    const ms = isUrgent ? readAt + limits.readMsMin - performance.now() : limits.quietMs;
    if (isUrgent || stale.size > 0) timer = setTimeout(() => void readNow(), Math.max(0, ms));
  };
  const take = (changes: readonly LiveChannel[]) => {
    for (const update of head === undefined ? [] : changes) {
      const known = channels.get(update.channel_name);
      stale.add(update.channel_name);
      if (known === undefined || isLedgerStale(known, update)) isUrgent = true;
      else channels.set(update.channel_name, ledgerAfter(known, update));
    }
    plan();
    if (head !== undefined) onLedger({ ...head, channels: [...channels.values()] });
  };
  return {
    begin() {
      if (isBegun) return;
      clearTimeout(timer);
      void readNow();
    },
    changed(changes) {
      if (meanwhile !== undefined) meanwhile.push(...changes);
      else if (isBegun) take(changes);
    },
    close() {
      isClosed = true;
      clearTimeout(timer);
    },
  };
}
