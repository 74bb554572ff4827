import { type Static, Type } from '@sinclair/typebox';
import { Nullable, Text } from '../../http/schemas.ts';
import type { CatalogueLimits } from '../limits.ts';
import { InstrumentId } from '../schemas.ts';

export const instrumentTypes = ['mbe', 'cvd', 'pvd', 'sputter', 'ald', 'pld'] as const;

export const GrowthInstrument = Type.Object({
  synth_source_id: Type.Integer({ description: 'names the instrument when a stream is initialized' }),
  source_name: Type.String(),
  synth_source_type: Type.String(),
  source_manufacturer: Nullable(Type.String()),
  source_model: Nullable(Type.String()),
  serial_id: Nullable(Type.String()),
});

export const NewGrowthInstrument = Type.Object({
  label: Text({ minLength: 1, description: 'display name; answered as source_name' }),
  type: Type.Unsafe<(typeof instrumentTypes)[number]>({ type: 'string', enum: [...instrumentTypes] }),
  name: Type.Optional(Nullable(Text({ description: 'manufacturer and model; answered as source_model' }))),
  serial_id: Type.Optional(Nullable(Text({ description: 'serial number' }))),
});

const { label, type, name, serial_id } = NewGrowthInstrument.properties;

export const GrowthInstrumentChange = Type.Object({
  label: Type.Optional(label),
  type: Type.Optional(type),
  name,
  serial_id,
});
export type GrowthInstrumentChange = Static<typeof GrowthInstrumentChange>;

export const GrowthInstrumentParams = Type.Object({
  synth_source_id: Type.String({ pattern: '^[1-9][0-9]{0,9}$', description: 'growth instrument' }),
});

export const GrowthInstrumentIds = ({ linkedIdsMax }: CatalogueLimits) =>
  Type.Object({
    synthesis_instrument_ids: Type.Array(InstrumentId('instrument to delete'), { minItems: 1, maxItems: linkedIdsMax }),
  });
