import { Ajv, type ValidateFunction } from 'ajv';
import { ApiError, invalid } from '../errors.ts';
import { ajvOptions } from '../http/ajv-options.ts';
import { type JsonLimits, parseJson } from '../http/parse-json.ts';
import { toDetail } from '../http/validation-detail.ts';
import { type ChannelReadings, toChunkImage } from './chunk-image.ts';
import type { Arrival } from './rows.ts';
import { ChunkBody, type ChunkBodyLimits, MultiChunkBody } from './schemas.ts';

/** The two forms of a body that brings chunks. */
export type ChunkForm = 'single' | 'multi';

/** What a body brings, as it is stored; the body itself is not held any more. */
export class ChunkRequest {
  readonly dataId: string;
  readonly chunkIndex: number;
  readonly arrivals: Arrival[];

  constructor(dataId: string, chunkIndex: number, arrivals: Arrival[]) {
    this.dataId = dataId;
    this.chunkIndex = chunkIndex;
    this.arrivals = arrivals;
  }
}

/** How bodies that bring chunks are read and checked. */
export interface ChunkBodies {
  /**
   * Reads the body of a request that brings chunks: JSON, schema, and the images of what it brings.
   * @throws ApiError 400, 413 or 422, which names the field that is wrong or the channel whose lengths differ
   */
  read(form: ChunkForm, body: Buffer): ChunkRequest;
  /** For Fastify, which validates what was read: only a body that is not there can still be wrong. */
  validator(form: ChunkForm): ((body: unknown) => boolean) & Pick<ValidateFunction, 'errors'>;
}

export function createChunkBodies(limits: JsonLimits & ChunkBodyLimits): ChunkBodies {
  const ajv = new Ajv(ajvOptions);
  const validators: Record<ChunkForm, ValidateFunction> = {
    single: ajv.compile<ChunkBody>(ChunkBody),
    multi: ajv.compile<MultiChunkBody>(MultiChunkBody(limits)),
  };
  return {
    read(form, body) {
      const value = parseJson(body, limits);
      const validate = validators[form];
      if (validate(value ?? null)) return toRequest(form, value);
      const [broken] = validate.errors ?? [];
      throw new ApiError('validation', broken === undefined ? [] : [toDetail(broken, 'body', value)]);
    },
    validator(form) {
      const check = Object.assign(
        (body: unknown): boolean => {
          if (body instanceof ChunkRequest) return true;
          const isValid = validators[form](body);
          check.errors = validators[form].errors ?? null;
          return isValid;
        },
        { errors: null as NonNullable<ValidateFunction['errors']> | null },
      );
      return check;
    },
  };
}

function toRequest(form: ChunkForm, value: unknown): ChunkRequest {
  if (form === 'single') {
    const chunk = value as ChunkBody;
    return new ChunkRequest(chunk.data_id, chunk.chunk_index, [toArrival(chunk.channel_name, chunk, false)]);
  }
  const { data_id, chunk_index, channels } = value as MultiChunkBody;
  const named = Object.entries(channels);
  const arrivals = named.map(([name, readings]) => toArrival(name, readings, named.length > 1));
  return new ChunkRequest(data_id, chunk_index, arrivals);
}

function toArrival(channelName: string, readings: ChannelReadings, isMulti: boolean): Arrival {
  const { timestamps, values } = readings;
  if (timestamps.length === values.length && values.length > 0) return { channelName, image: toChunkImage(readings) };
  const what =
    values.length === timestamps.length ? 'no points' : `${timestamps.length} timestamps but ${values.length} values`;
  throw invalid(isMulti ? ['body', 'channels', channelName] : ['body', 'values'], `channel "${channelName}": ${what}`);
}
