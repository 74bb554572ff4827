import { setTimeout as sleep } from 'node:timers/promises';
import { unavailable } from '../errors.ts';
import type { Identity } from './identity.ts';
import type { AuthLimits } from './limits.ts';

interface Options {
  /** The identities behind keys as the database has them now, in the order of the keys. */
  findAll(keys: string[]): Promise<(Identity | undefined)[]>;
  /** Whether an error is temporary, so that a retry may succeed. */
  isPassing(error: unknown): boolean;
  limits: Pick<AuthLimits, 'strangerWaitMsMax' | 'lookUpRetryMs' | 'lookUpKeysMax'>;
}

/** A key that waits for its look-up. All requests with this key share the answer. */
interface Question {
  answer?: Promise<Identity | undefined>;
  resolve(found: Identity | undefined): void;
  reject(error: unknown): void;
}

/**
 * Looks keys up in the database in batches: one statement at a time, for all keys that wait. So a flood of unknown keys
 * uses one connection only, and nobody waits for more than two statements. Keys that were known before go first in a
 * batch.
 */
export function createKeyLookUp({ findAll, isPassing, limits }: Options) {
  const renewals = new Map<string, Question>();
  const strangers = new Map<string, Question>();
  let isLooking = false;

  async function lookAll(): Promise<void> {
    isLooking = true;
    // Other requests of this turn of the event loop can still join the batch.
    await undefined;
    while (renewals.size + strangers.size > 0) {
      const batch = [...renewals, ...strangers].slice(0, limits.lookUpKeysMax);
      try {
        const found = await findAll(batch.map(([key]) => key));
        for (const [i, [, question]] of batch.entries()) question.resolve(found[i]);
      } catch (error) {
        // A renewal fails at once, because its caller falls back on the cache. After a temporary error an unknown key
        // stays in the queue until the database can be asked.
        const failed = isPassing(error) ? batch.filter(([key]) => renewals.has(key)) : batch;
        for (const [, question] of failed) question.reject(error);
        await sleep(limits.lookUpRetryMs);
      }
    }
    isLooking = false;
  }

  function ask(key: string, questions: Map<string, Question>, waitMsMax?: number): Promise<Identity | undefined> {
    const before = questions.get(key)?.answer;
    if (before !== undefined) return before;
    const question: Question = { resolve() {}, reject() {} };
    question.answer = new Promise((resolve, reject) => {
      const settle = () => {
        clearTimeout(timer);
        if (questions.get(key) === question) questions.delete(key);
      };
      question.resolve = (found) => {
        settle();
        resolve(found);
      };
      question.reject = (error) => {
        settle();
        reject(error);
      };
      const late = () =>
        question.reject(unavailable(`The key could not be looked up within ${waitMsMax} ms (strangerWaitMsMax).`));
      const timer = waitMsMax === undefined ? undefined : setTimeout(late, waitMsMax);
    });
    questions.set(key, question);
    if (!isLooking) void lookAll();
    return question.answer;
  }

  return {
    /** Looks up a key that was known before. @throws the error of the database */
    renew: (key: string) => ask(key, renewals),
    /** Looks up an unknown key, and waits while the database is away. @throws ApiError 503 after `strangerWaitMsMax` */
    find: (key: string) => ask(key, strangers, limits.strangerWaitMsMax),
  };
}
