import { expect, inject, test } from 'vitest';
import { routeTo } from '../../src/database/route.ts';

test('an address that is forgotten is looked for again, and until then a client that is being made still goes there', async () => {
  const url = new URL(inject('adminUrl'));
  url.searchParams.set('sslmode', 'prefer');
  const route = routeTo(url.href);
  await route.find(5_000);
  const { port } = route.config();
  expect(port).toBe(Number(url.port));
  route.forget();
  expect(route.config()).toMatchObject({ port });
  await route.find(5_000);
  expect(route.config()).toMatchObject({ port });
});
