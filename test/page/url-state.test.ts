import { describe, expect, test } from 'vitest';
import { panelsOf, putTogether } from '../../src/page/plot/shown.ts';
import { hrefOf, noFilters, type PageState, runState, stateOf } from '../../src/page/url-state.ts';

const id = '0f0e0d0c-0b0a-4a4b-8c8d-000000000001';
const queryOf = (state: PageState) => hrefOf(state).replace(/^\.\//, '');
const again = (state: PageState) => stateOf(queryOf(state));

describe('the address of the page', () => {
  test('the plain page is the list of all runs', () => {
    expect(stateOf('')).toEqual({ view: 'runs', filters: noFilters });
    expect(hrefOf({ view: 'runs', filters: noFilters })).toBe('./');
  });

  test.each<PageState>([
    { view: 'runs', filters: { ...noFilters, search: 'a & b = "ü" <i>', status: 'live', tag: '日本 🧪', user: 'x' } },
    runState(id),
    { ...runState(id), window: { kind: 'last', seconds: 600 }, times: 'utc' },
    { ...runState(id), window: { kind: 'fixed', fromMs: -1_000.25, toMs: 1_769_846_400_000.125 }, times: 'since' },
    {
      ...runState(id),
      shown: {
        hidden: ['a,b', 'ע"ב'],
        together: [
          ['x & y', '["z"]'],
          ['1', '2', '3'],
        ],
        log: ['%', '+'],
      },
    },
    { view: 'compare', dataIds: [id, id.replace('1', '2')], window: { kind: 'all' } },
    { view: 'compare', dataIds: [id], window: { kind: 'fixed', fromMs: 0, toMs: 5 } },
  ])('gives back what it was made from: %j', (state) => {
    expect(again(state)).toEqual(state);
  });

  test('leaves out what is wrong in it', () => {
    expect(stateOf(`?run=${id}&from=5&to=5&last=-1&times=mars&together=[1&together=["a"]`)).toEqual(runState(id));
    expect(stateOf(`?run=${id}&from=NaN&to=9`)).toEqual(runState(id));
    expect(stateOf('?status=gone')).toEqual({ view: 'runs', filters: noFilters });
    expect(stateOf('?compare=nonsense')).toEqual({ view: 'runs', filters: noFilters });
  });

  test('compares four runs at most, each once', () => {
    const ids = [1, 1, 2, 3, 4, 5].map((n) => id.replace(/1$/, String(n)));
    const state = stateOf(`?${ids.map((one) => `compare=${one}`).join('&')}`);
    expect(state).toMatchObject({ view: 'compare', dataIds: [ids[0], ids[2], ids[3], ids[4]] });
  });
});

describe('which plots there are', () => {
  const shown = { hidden: [], together: [], log: [] };

  test('one a channel, in their order, without the hidden ones', () => {
    expect(panelsOf(['a', 'b', 'c'], { ...shown, hidden: ['b'], log: ['c'] })).toEqual([
      { channels: ['a'], log: false },
      { channels: ['c'], log: true },
    ]);
  });

  test('channels that are together stand where the first of them stands', () => {
    const state = putTogether(putTogether(shown, 'c', 'a'), 'd', 'c');
    expect(panelsOf(['a', 'b', 'c', 'd'], state).map(({ channels }) => channels)).toEqual([['a', 'c', 'd'], ['b']]);
    expect(panelsOf(['a', 'b', 'c', 'd'], putTogether(state, 'c', undefined)).map(({ channels }) => channels)).toEqual([
      ['a', 'd'],
      ['b'],
      ['c'],
    ]);
  });

  test('a channel stands in one plot only, whatever an address says', () => {
    const state = {
      ...shown,
      together: [
        ['a', 'b'],
        ['b', 'c'],
        ['gone', 'c'],
      ],
    };
    expect(
      panelsOf(['a', 'b', 'c'], state)
        .flatMap(({ channels }) => channels)
        .sort(),
    ).toEqual(['a', 'b', 'c']);
  });
});
