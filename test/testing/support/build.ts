import { buildWhenStale } from '../../sdk/support/build.ts';

/** Suites run `dist` of this checkout; there is nothing to end. */
export default async function setup(): Promise<void> {
  await buildWhenStale();
}
