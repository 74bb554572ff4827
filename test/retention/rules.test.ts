import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { retentionLimits } from '../../src/retention/limits.ts';
import { describeRule, parseRules, RulesError, readRules } from '../../src/retention/rules.ts';

const parse = (text: string, limits = retentionLimits) => parseRules(text, 'rules.yaml', limits);

test('rules are read from YAML and JSON, beside sections that are for others', () => {
  const yaml = `
organizations: [{name: lab}]
retention:
  - organization: lab
    project: GaN 2026
    older_than: 365d
  - {organization: lab, tag: scratch, older_than: 12w}
`;
  const rules = parse(yaml);
  expect(rules).toEqual([
    { organization: 'lab', project: 'GaN 2026', olderThan: '365d', olderThanSeconds: 365 * 86_400 },
    { organization: 'lab', tag: 'scratch', olderThan: '12w', olderThanSeconds: 84 * 86_400 },
  ]);
  expect(rules.map(describeRule)).toEqual([
    'organization "lab", project "GaN 2026", older than 365d',
    'organization "lab", tag "scratch", older than 12w',
  ]);
  expect(parse('{"retention": [{"organization": "lab", "older_than": "1d"}]}')).toHaveLength(1);
  expect(parse('retention: []')).toEqual([]);
});

test('everything that is wrong is named with its line, and then no rule holds', () => {
  const problemsOf = (text: string, limits = retentionLimits) => {
    try {
      parse(text, limits);
    } catch (error) {
      expect(error).toBeInstanceOf(RulesError);
      return (error as Error).message.split('\n');
    }
    throw new Error(`taken: ${text}`);
  };
  expect(
    problemsOf(`retention:
  - {organization: lab, older_than: 1h}
  - {organization: lab, older_than: 365d, projct: X}
  - {project: P, tag: T, older_than: 365d}
  - lab
`),
  ).toEqual([
    'rules.yaml:2: retention[0].older_than must be a time such as 365d or 52w, of at least 86400 s (olderThanSecondsMin)',
    'rules.yaml:3: retention[1].projct is not known; a rule has organization, project, tag, older_than',
    'rules.yaml:4: retention[2].organization must be a text that is not empty',
    'rules.yaml:4: retention[2] has a project and a tag; a rule has one of them, or none',
    expect.stringMatching(/retention\[3\] must be a mapping/),
  ]);
  // Each of these would otherwise keep everything, or remove more than was meant, in silence.
  for (const text of [
    '',
    'rules: []',
    'retentions: []',
    'retention: lab',
    'retention: [{organization: "", older_than: 365d}]',
  ]) {
    expect(problemsOf(text).length, text).toBeGreaterThan(0);
  }
  expect(problemsOf('retention: [{organization: lab, tag: null, older_than: 365d}]')[0]).toContain(
    '.tag must be a text',
  );
  expect(problemsOf('retention: [{organization: lab, older_than: 365}]')[0]).toContain('.older_than');
  expect(problemsOf('retention: [').length).toBeGreaterThan(0);
  const two = 'retention: [{organization: a, older_than: 1d}, {organization: b, older_than: 1d}]';
  expect(problemsOf(two, { ...retentionLimits, rulesMax: 1 })[0]).toContain('rulesMax');
});

test('a file that is too large is not read', () => {
  const folder = mkdtempSync(join(tmpdir(), 'metrology-rules-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'rules.yaml');
  writeFileSync(path, 'retention: []\n');
  expect(readRules(path)).toEqual([]);
  expect(() => readRules(path, { ...retentionLimits, rulesBytesMax: 5 })).toThrow(/at most 5 \(rulesBytesMax\)/);
});
