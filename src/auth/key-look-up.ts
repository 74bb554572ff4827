import { setTimeout as sleep } from 'node:timers/promises';
import { unavailable } from '../errors.ts';
import type { Identity } from './identity.ts';
import type { AuthLimits } from './limits.ts';

interface Options {
  /** The identities behind some keys as the database has them now, in the order of the keys. */
  findAll(keys: string[]): Promise<(Identity | undefined)[]>;
  /** Whether the same statement may work in a while. */
  isPassing(error: unknown): boolean;
  limits: Pick<AuthLimits, 'strangerWaitMsMax' | 'lookUpRetryMs' | 'lookUpKeysMax'>;
}

/** A key that is to be looked up; all who ask for it share the answer. */
interface Question {
  answer?: Promise<Identity | undefined>;
  resolve(found: Identity | undefined): void;
  reject(error: unknown): void;
}

/**
 * Looks keys up in the database: one statement at a time, for all keys that wait. So a flood of keys that nobody has takes one
 * connection, and nobody waits for longer than a statement or two. Keys that were known go first.
 */
export function createKeyLookUp({ findAll, isPassing, limits }: Options) {
  const renewals = new Map<string, Question>();
  const strangers = new Map<string, Question>();
  let isLooking = false;

  async function lookAll(): Promise<void> {
    isLooking = true;
    // What else is asked for in this turn of the event loop is looked up with it.
    await undefined;
    while (renewals.size + strangers.size > 0) {
      const batch = [...renewals, ...strangers].slice(0, limits.lookUpKeysMax);
      try {
        const found = await findAll(batch.map(([key]) => key));
        for (const [i, [, question]] of batch.entries()) question.resolve(found[i]);
      } catch (error) {
        // A renewal has what was known before; a stranger has nothing, and waits until the database can be asked.
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
    /** Looks up a key that was known. @throws whatever the database could not be asked for */
    renew: (key: string) => ask(key, renewals),
    /** Looks up a key that is not known; while the database cannot be asked it waits. @throws ApiError 503 */
    find: (key: string) => ask(key, strangers, limits.strangerWaitMsMax),
  };
}
