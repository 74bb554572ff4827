/** The retention rules: read from a file, and checked as a whole. */
import { readFileSync, statSync } from 'node:fs';
import { type Document, isMap, isSeq, LineCounter, parseDocument, type YAMLMap } from 'yaml';
import { durationSeconds } from '../lib/duration.ts';
import { type RetentionLimits, retentionLimits } from './limits.ts';

/** Matches the runs of an organization, of one of its projects or with a tag, that have not changed for a time. */
export interface Rule {
  organization: string;
  project?: string;
  tag?: string;
  /** As it was written, for example `365d`. */
  olderThan: string;
  olderThanSeconds: number;
}

/** All errors in a file of rules, one sentence each with its line. */
export class RulesError extends Error {}

/**
 * Reads the list `retention` of a YAML or JSON file. Other sections are ignored, so that the rules may stand in the
 * provisioning file.
 * @throws RulesError
 */
export function readRules(path: string, limits: RetentionLimits = retentionLimits): Rule[] {
  const { size } = statSync(path);
  if (size > limits.rulesBytesMax) {
    throw new RulesError(
      `${path} has ${size} bytes, and a file of rules at most ${limits.rulesBytesMax} (rulesBytesMax)`,
    );
  }
  return parseRules(readFileSync(path, 'utf8'), path, limits);
}

/** @param path the name of the file in error messages */
export function parseRules(text: string, path: string, limits: RetentionLimits): Rule[] {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const problems: string[] = [];
  const at = (offset: number | undefined, problem: string) => {
    problems.push(`${path}:${lines.linePos(offset ?? 0).line}: ${problem}`);
  };
  for (const error of document.errors) at(error.pos[0], error.message);
  const rules = problems.length > 0 ? [] : rulesOf(document, at, limits);
  if (problems.length > 0) throw new RulesError(problems.join('\n'));
  return rules;
}

type Complain = (offset: number | undefined, problem: string) => void;

function rulesOf(document: Document.Parsed, complain: Complain, limits: RetentionLimits): Rule[] {
  const list = isMap(document.contents) ? document.contents.get('retention', true) : undefined;
  if (!isSeq(list)) {
    complain(document.contents?.range?.[0], 'there is no list `retention`; without rules write `retention: []`');
    return [];
  }
  if (list.items.length > limits.rulesMax) {
    complain(
      list.range?.[0],
      `there are ${list.items.length} rules, and at most ${limits.rulesMax} are taken (rulesMax)`,
    );
    return [];
  }
  return list.items.flatMap((item, i) => {
    if (isMap(item)) return ruleOf(item, `retention[${i}]`, complain, limits) ?? [];
    complain(list.range?.[0], `retention[${i}] must be a mapping of organization, project or tag, and older_than`);
    return [];
  });
}

const fields = ['organization', 'project', 'tag', 'older_than'];

function ruleOf(item: YAMLMap, name: string, complain: Complain, limits: RetentionLimits): Rule | undefined {
  const offset = item.range?.[0];
  let isWrong = false;
  const wrong = (problem: string) => {
    isWrong = true;
    complain(offset, `${name}${problem}`);
  };
  const given = item.toJSON() as Record<string, unknown>;
  for (const field of Object.keys(given)) {
    if (!fields.includes(field)) wrong(`.${field} is not known; a rule has ${fields.join(', ')}`);
  }
  for (const field of fields) {
    const value = given[field];
    const isNeeded = field === 'organization' || field === 'older_than';
    if (value === undefined && !isNeeded) continue;
    if (typeof value !== 'string' || value.trim() === '') wrong(`.${field} must be a text that is not empty`);
  }
  const { organization, project, tag, older_than: olderThan } = given as Record<string, string>;
  if (project !== undefined && tag !== undefined) wrong(' has a project and a tag; a rule has one of them, or none');
  const olderThanSeconds = durationSeconds(String(olderThan)) ?? 0;
  if (olderThanSeconds < limits.olderThanSecondsMin) {
    wrong(
      `.older_than must be a time such as 365d or 52w, of at least ${limits.olderThanSecondsMin} s (olderThanSecondsMin)`,
    );
  }
  if (isWrong) return undefined;
  return {
    organization: organization as string,
    ...(project !== undefined && { project }),
    ...(tag !== undefined && { tag }),
    olderThan: olderThan as string,
    olderThanSeconds,
  };
}

/** For example `organization "lab", project "GaN 2026", older than 365d`. */
export function describeRule({ organization, project, tag, olderThan }: Rule): string {
  const part = project !== undefined ? `, project "${project}"` : tag !== undefined ? `, tag "${tag}"` : '';
  return `organization "${organization}"${part}, older than ${olderThan}`;
}
