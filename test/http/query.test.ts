import { Type } from '@sinclair/typebox';
import Fastify, { type FastifyInstance } from 'fastify';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { answerErrors } from '../../src/http/error-handler.ts';
import { coerceQueries } from '../../src/http/query.ts';

let app: FastifyInstance;

beforeAll(async () => {
  app = Fastify({ ajv: { customOptions: { coerceTypes: false, removeAdditional: false, useDefaults: false } } });
  answerErrors(app);
  coerceQueries(app);
  const querystring = Type.Object({
    flag: Type.Optional(Type.Boolean()),
    count: Type.Optional(Type.Integer()),
    seconds: Type.Optional(Type.Number()),
    name: Type.Optional(Type.String()),
    names: Type.Optional(Type.Array(Type.String())),
    numbers: Type.Optional(Type.Array(Type.Integer())),
    flags: Type.Optional(Type.Array(Type.Boolean())),
  });
  app.get('/', { schema: { querystring } }, async (request) => request.query);
  app.get('/free', async (request) => request.query);
});
afterAll(() => app?.close());

const taken: [string, unknown][] = [
  ...['True', 'true', 'TRUE', '1', 'on', 't', 'yes', 'Y'].map((text): [string, unknown] => [
    `flag=${text}`,
    { flag: true },
  ]),
  ...['False', 'false', '0', 'off', 'f', 'no', 'N'].map((text): [string, unknown] => [`flag=${text}`, { flag: false }]),
  ['count=12', { count: 12 }],
  ['count=-3', { count: -3 }],
  ['count=%2B3', { count: 3 }],
  ['count=1e3', { count: 1000 }],
  ['seconds=0.25', { seconds: 0.25 }],
  ['seconds=.5', { seconds: 0.5 }],
  ['seconds=1E-3', { seconds: 0.001 }],
  ['name=5', { name: '5' }],
  ['name=True', { name: 'True' }],
  ['name=', { name: '' }],
  ['name=a+b%20c', { name: 'a b c' }],
  ['names=one', { names: ['one'] }],
  ['names=one&names=two', { names: ['one', 'two'] }],
  ['names=a,b', { names: ['a,b'] }],
  ['numbers=7', { numbers: [7] }],
  ['numbers=7&numbers=8', { numbers: [7, 8] }],
  ['flags=True&flags=0', { flags: [true, false] }],
  ['other=1&other=2', { other: ['1', '2'] }],
  ['', {}],
];

test.each(taken)('?%s is taken as %j', async (query, expected) => {
  const { statusCode, payload } = await app.inject(`/?${query}`);
  expect(statusCode, payload).toBe(200);
  expect(JSON.parse(payload)).toEqual(expected);
});

const refused: [string, (string | number)[]][] = [
  ['flag=maybe', ['query', 'flag']],
  ['flag=', ['query', 'flag']],
  ['flag=2', ['query', 'flag']],
  ['flag=True&flag=True', ['query', 'flag']],
  ['count=', ['query', 'count']],
  ['count=1.5', ['query', 'count']],
  ['count=12abc', ['query', 'count']],
  ['count=0x10', ['query', 'count']],
  ['count=+', ['query', 'count']],
  ['count=1&count=2', ['query', 'count']],
  ['seconds=NaN', ['query', 'seconds']],
  ['seconds=Infinity', ['query', 'seconds']],
  ['seconds=1e999', ['query', 'seconds']],
  ['name=a&name=b', ['query', 'name']],
  ['numbers=7&numbers=x', ['query', 'numbers', 1]],
  ['flags=perhaps', ['query', 'flags', 0]],
];

test.each(refused)('?%s is left to validation, which names %j', async (query, loc) => {
  const { statusCode, payload } = await app.inject(`/?${query}`);
  expect(statusCode).toBe(422);
  expect(JSON.parse(payload).detail[0].loc).toEqual(loc);
});

test('a route without a schema gets its query as it came', async () => {
  const { payload } = await app.inject('/free?flag=True&count=1');
  expect(JSON.parse(payload)).toEqual({ flag: 'True', count: '1' });
});

test('names that JavaScript treats specially are no trap', async () => {
  const { statusCode } = await app.inject('/?__proto__=1&constructor=2&count=3');
  expect(statusCode).toBe(200);
  expect(({} as { count?: unknown }).count).toBeUndefined();
});
