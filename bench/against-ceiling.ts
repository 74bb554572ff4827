import { againstOther } from './support/rounds.ts';
import type { Row } from './support/row.ts';

export const againstCeiling: Row = {
  id: 'ceiling',
  question: 'What does storing cost, on top of HTTP, auth and validation?',
  run: async (bench) => [
    await againstOther(bench, {
      kind: 'ceiling',
      title: 'single chunks of 100 points, against the HTTP ceiling',
      durability: 'stores nothing',
      bound: { of: 'ratio', is: 'at least', must: 0.55, aim: 0.85 },
    }),
  ],
};
