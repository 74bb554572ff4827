import { type Answer, countsOf } from '../support/ask.ts';
import { expectStatuses, slowest } from '../support/attack.ts';
import { filledBody } from '../support/bodies.ts';
import type { Ground, Row } from '../support/ground.ts';

/** Requests that multiply, and what lists then carry. */
export const catalogue: Row[] = [
  {
    name: 'tags-times-entries',
    about: 'one request puts 2,000 tags on 10,000 entries: refused or short, and no finalize waits for it',
    async run(ground) {
      const dataIds = await idsOf(ground, entries(10_000), 'data_id');
      const tagIds = await idsOf(ground, tags(2_000), 'tag_id');
      await ground.watched(async () => {
        const body = JSON.stringify({ data_ids: dataIds, tag_ids: tagIds });
        const question = { key: ground.keys.attacker, body, answerMsMax: 5_000 };
        const answer = await ground.ask('POST', '/tags/data-items/', question);
        ground.note(`answered ${answer.status} after ${Math.round(answer.ms)} ms`);
        expectStatuses(ground, 'the request', [answer], [200, 413, 422]);
      });
    },
  },
  {
    name: 'tags-as-large-as-may-be',
    about:
      'two (eight) connections put a tag on 2,500 (10,000) entries and take it off 1,000 (4,000) again, without a pause, while others finalize',
    async run(ground) {
      const dataIds = await idsOf(ground, entries(ground.size(2_500, 10_000)), 'data_id');
      const tagIds = await idsOf(ground, tags(ground.size(2, 8)), 'tag_id');
      await ground.watched(async () => {
        const answers: Answer[] = [];
        const one = async (tagId: string) => {
          const body = JSON.stringify({ data_ids: dataIds, tag_ids: [tagId] });
          // As many as a URL has room for.
          const some = dataIds.slice(0, ground.size(1_000, 4_000)).map((id) => `data_ids=${id}`);
          const question = { key: ground.keys.attacker };
          // The first round goes to its end, however long it takes.
          while (!ground.isOver()) {
            answers.push(await ground.ask('POST', '/tags/data-items/', { ...question, body }));
            answers.push(await ground.ask('DELETE', `/tags/data-items/?tag_ids=${tagId}&${some.join('&')}`, question));
          }
        };
        await Promise.all(tagIds.map(one));
        ground.note(`${countsOf(answers)}, ${Math.round(slowest(answers))} ms at worst`);
        expectStatuses(ground, 'a request for tags', answers, [200, 503]);
        const done = answers.filter(({ status }) => status === 200).length;
        if (done < 2) ground.blame('no tag was put on and taken off');
      });
    },
  },
  {
    name: 'deletes-of-many',
    about: 'one request deletes 200 entries and another removes them, while others are opened and finalized',
    async run(ground) {
      const dataIds = await idsOf(ground, entries(200), 'data_id');
      await ground.watched(async () => {
        const question = { key: ground.keys.attacker, answerMsMax: 10_000 };
        const query = dataIds.map((id) => `data_ids=${id}`).join('&');
        const answers = [
          await ground.ask('DELETE', `/data_entries/?${query}`, question),
          await ground.ask('DELETE', `/data_entries/?permanent=true&${query}`, question),
        ];
        ground.note(`${countsOf(answers)}, ${Math.round(slowest(answers))} ms at worst`);
        expectStatuses(ground, 'a request to delete', answers, [200, 422]);
      });
    },
  },
  {
    name: 'large-configurations',
    about: '20 projects get a configuration of 33 MB, of 1 MB and of 200 kB: the list of projects stays there',
    run: configure,
  },
];

const owner = `(select organization_id, user_id from users join organizations o using (organization_id)
  where o.name = 'attackers' limit 1) owner`;

const entries = (count: number) => `
  insert into streams (data_id, organization_id, user_id, stream_name, points_per_chunk)
  select gen_random_uuid(), organization_id, user_id, 'many', 100 from ${owner}, generate_series(1, ${count})
  returning data_id`;

const tags = (count: number) => `
  insert into tags (tag_id, organization_id, user_id, name)
  select gen_random_uuid(), organization_id, user_id, 'tag ' || gen_random_uuid() from ${owner}, generate_series(1, ${count})
  returning tag_id`;

async function idsOf(ground: Ground, statement: string, name: string): Promise<string[]> {
  return (await ground.query(statement)).map((row) => String(row[name]));
}

async function configure(ground: Ground): Promise<void> {
  const key = ground.keys.attacker;
  const made = await Promise.all(
    Array.from({ length: 20 }, (_, i) => ground.ask('POST', '/projects/', { key, body: `{"name":"large ${i}"}` })),
  );
  const ids = made.map(({ body }) => (JSON.parse(body) as { id: string }).id);
  const bodies = [33_000_000, 1_000_000, 200_000].map((bytes) =>
    filledBody('{"a":[', '"some text of an instrument",', '"z"]}', bytes),
  );
  const list = () => ground.ask('GET', '/projects/', { key, answerMsMax: 10_000 });
  await ground.watched(async () => {
    const answers = [];
    for (const [i, id] of ids.entries()) {
      for (const body of i < 4 ? bodies : bodies.slice(1)) {
        answers.push(await ground.ask('POST', `/projects/${id}/configuration`, { key, body }));
      }
    }
    ground.note(`configurations ${countsOf(answers)}`);
    expectStatuses(ground, 'a configuration', answers, [200, 413, 422]);
    const listed = await Promise.all([list(), list(), list()]);
    ground.note(`lists of ${Math.round((listed[0]?.body.length ?? 0) / 1_024)} KiB`);
    expectStatuses(ground, 'the list of projects', listed, [200]);
    const [one] = ids;
    const gone = await ground.ask('DELETE', `/projects/${one}`, { key });
    expectStatuses(ground, 'deleting a project', [gone], [200, 204]);
  });
}
