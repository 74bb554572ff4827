import { Type } from '@sinclair/typebox';
import { Nullable, Uuid } from '../http/schemas.ts';
import type { CatalogueLimits } from './limits.ts';

/** The largest PostgreSQL integer; instruments are numbered with that type. */
const int4Max = 2_147_483_647;

export const InstrumentId = (description: string) => Type.Integer({ minimum: 1, maximum: int4Max, description });

export const LinkedIds = (description: string, { linkedIdsMax }: Pick<CatalogueLimits, 'linkedIdsMax'>) =>
  Type.Array(Uuid('id'), { minItems: 1, maxItems: linkedIdsMax, description });

/** What the official service answers when there is no other result: the JSON string "OK". */
export const Ok = Type.Literal('OK', { description: 'done' });

export const ProjectReference = Type.Object({ id: Type.String(), name: Type.String() });

/** A note of a sample or project. None is stored, so it is always null. Notes of data entries have a field of their own. */
export const Note = Nullable(Type.Object({ content: Type.String(), last_updated: Type.String() }));
