import { ApiError, invalid, notFound } from '../errors.ts';
import { type Facts, matcherOf } from './facts.ts';
import { type Chance, chanceOf } from './seed.ts';
import type { Action, Fault, FaultBody, When } from './wire.ts';

/** The fault rules: how the server misbehaves. */
export interface Faults {
  /** @throws ApiError 422 for a rule that contradicts itself, 409 when there are too many */
  add(rule: FaultBody): Fault;
  /** In the order in which they were added. This is also the order in which they are tried. */
  list(): Fault[];
  /** @throws ApiError 404 for an unknown rule */
  remove(id: number): void;
  clear(): void;
  /** The first rule that hits a request, if any. The hit is counted, and later rules do not see the request. */
  take(when: When, facts: Facts): Hit | undefined;
}

export interface Hit {
  id: number;
  action: Action;
}

interface Rule extends Fault {
  when: When;
  fits(facts: Facts): boolean;
  chance: Chance;
}

interface Options {
  /** Seeds the random choices of rules with a probability; each rule has its own sequence. */
  seed: string;
  rulesMax: number;
  /** Longest `delay_ms`, in milliseconds. */
  delayMsMax: number;
}

export function createFaults({ seed, rulesMax, delayMsMax }: Options): Faults {
  let rules: Rule[] = [];
  let made = 0;
  return {
    add(rule) {
      if (rules.length >= rulesMax)
        throw new ApiError('conflict', `There are ${rulesMax} rules (faultRulesMax) already.`);
      const when = whenOf(rule);
      if ('delay_ms' in rule.action && rule.action.delay_ms > delayMsMax) {
        throw invalid(
          ['body', 'action', 'delay_ms'],
          `at most ${delayMsMax} ms (faultDelayMsMax)`,
          rule.action.delay_ms,
        );
      }
      const id = ++made;
      const chance = chanceOf(seed, `fault ${id}`);
      rules.push({ id, rule, when, matched: 0, hit: 0, fits: matcherOf(rule.match ?? {}), chance });
      return shown(rules.at(-1) as Rule);
    },
    list: () => rules.map(shown),
    remove(id) {
      const before = rules.length;
      rules = rules.filter((rule) => rule.id !== id);
      if (rules.length === before) throw notFound('Fault');
    },
    clear() {
      rules = [];
      made = 0;
    },
    take(when, facts) {
      for (const rule of rules) {
        if (rule.when !== when || !rule.fits(facts)) continue;
        rule.matched++;
        if (!isHit(rule)) continue;
        rule.hit++;
        return { id: rule.id, action: rule.rule.action };
      }
      return undefined;
    },
  };
}

function shown({ id, rule, matched, hit }: Rule): Fault {
  return { id, rule, matched, hit };
}

function isHit({ rule: { nth, every, times, probability }, matched, hit, chance }: Rule): boolean {
  if (nth !== undefined) return matched === nth;
  if (every !== undefined) return matched % every === 0;
  if (times !== undefined) return hit < times;
  return probability === undefined || chance.fraction() < probability;
}

/** @throws ApiError 422 */
function whenOf(rule: FaultBody): When {
  const choices = (['nth', 'every', 'times', 'probability'] as const).filter((name) => rule[name] !== undefined);
  if (choices.length > 1) throw invalid(['body', choices[1] as string], `say one of ${choices.join(' and ')}`);
  const needsAnswer = 'truncate_bytes' in rule.action || 'drip_bytes_per_s' in rule.action;
  if (needsAnswer && rule.when === 'before') {
    throw invalid(['body', 'when'], 'an answer can be cut or slowed only after_commit: before it there is none');
  }
  return rule.when ?? (needsAnswer ? 'after_commit' : 'before');
}
