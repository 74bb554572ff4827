import { Ajv, type ValidateFunction } from 'ajv';
import { createPacker, type Packer } from '../database/series-packer.ts';
import { ApiError, invalid } from '../errors.ts';
import { ajvOptions } from '../http/ajv-options.ts';
import { dataIdOf } from '../http/described-request.ts';
import { createNameCheck, type NameCheck, type UnknownNames } from '../http/known-names.ts';
import type { HttpLimits } from '../http/limits.ts';
import { type JsonLimits, type ParsedJson, parseJson } from '../http/parse-json.ts';
import { findRoundedNumbers, type RoundedNumbers } from '../http/rounded-numbers.ts';
import { toDetail } from '../http/validation-detail.ts';
import type { PlausibleTimes } from '../lib/time-unit.ts';
import { type ChannelReadings, toChunkImage } from './chunk-image.ts';
import { findImplausibleTimes, type ImplausibleTimes } from './implausible-times.ts';
import type { Arrival } from './ingest-rows.ts';
import { ChunkBody, type ChunkBodyLimits, MultiChunkBody } from './schemas.ts';

/** The two forms of a body that brings chunks. */
export type ChunkForm = 'single' | 'multi';

/** Notes for the client on a body that was accepted. Nearly always all of them are undefined. */
export interface BodyNotes {
  /** Fields that the schema does not have. */
  unknownNames: UnknownNames | undefined;
  /** Numbers that float64 does not represent exactly. */
  roundedNumbers: RoundedNumbers | undefined;
  /** Timestamps that are no plausible Unix seconds. They are stored as they are. */
  implausibleTimes: ImplausibleTimes | undefined;
}

/** The content of a body in the form that is stored. The body itself is no longer held. */
export class ChunkRequest implements BodyNotes {
  readonly dataId: string;
  readonly chunkIndex: number;
  readonly arrivals: Arrival[];
  readonly unknownNames: UnknownNames | undefined;
  readonly roundedNumbers: RoundedNumbers | undefined;
  readonly implausibleTimes: ImplausibleTimes | undefined;

  constructor(dataId: string, chunkIndex: number, arrivals: Arrival[], notes: BodyNotes) {
    this.dataId = dataId;
    this.chunkIndex = chunkIndex;
    this.arrivals = arrivals;
    this.unknownNames = notes.unknownNames;
    this.roundedNumbers = notes.roundedNumbers;
    this.implausibleTimes = notes.implausibleTimes;
  }
}

/** How bodies that bring chunks are read and checked. */
export interface ChunkBodies {
  /**
   * Reads the body of a request that brings chunks: parses the JSON, checks the schema, and makes the images.
   * @param packs series may be packed
   * @throws ApiError 400, 413 or 422, which names the field that is wrong or the channel whose lengths differ
   */
  read(form: ChunkForm, body: Buffer, packs: boolean): ChunkRequest;
  /** For Fastify, which validates the result of `read`. That is always valid, so only a missing body can fail. */
  validator(form: ChunkForm): ((body: unknown) => boolean) & Pick<ValidateFunction, 'errors'>;
}

/** What bounds the reading of a body that brings chunks. */
export type ChunkReadingLimits = JsonLimits &
  ChunkBodyLimits &
  PlausibleTimes &
  Pick<HttpLimits, 'unknownNamesShownMax'>;

export function createChunkBodies(limits: ChunkReadingLimits): ChunkBodies {
  const ajv = new Ajv(ajvOptions);
  const packer = createPacker();
  const namesOf = (schema: object) => createNameCheck(schema, () => undefined, limits.unknownNamesShownMax);
  const nameChecks: Record<ChunkForm, NameCheck> = {
    single: namesOf(ChunkBody),
    multi: namesOf(MultiChunkBody(limits)),
  };
  const validators: Record<ChunkForm, ValidateFunction> = {
    single: ajv.compile<ChunkBody>(ChunkBody),
    multi: ajv.compile<MultiChunkBody>(MultiChunkBody(limits)),
  };
  return {
    read(form, body, packs) {
      const parsed = parseJson(body, limits);
      const { value } = parsed;
      try {
        const validate = validators[form];
        if (validate(value ?? null)) {
          return toRequest(form, parsed, nameChecks[form](value), limits, packs ? packer : undefined);
        }
        const [broken] = validate.errors ?? [];
        throw new ApiError('validation', broken === undefined ? [] : [toDetail(broken, 'body', value)]);
      } catch (error) {
        if (error instanceof ApiError) error.dataId = dataIdOf(value);
        throw error;
      }
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

function toRequest(
  form: ChunkForm,
  { value, text }: ParsedJson,
  unknownNames: UnknownNames | undefined,
  plausible: PlausibleTimes,
  packer: Packer | undefined,
): ChunkRequest {
  const { data_id, chunk_index } = value as ChunkBody | MultiChunkBody;
  const isSingle = form === 'single';
  const chunk = value as ChunkBody;
  const { channels } = value as MultiChunkBody;
  const names = isSingle ? [chunk.channel_name] : Object.keys(channels);
  const readings: ChannelReadings[] = isSingle ? [chunk] : Object.values(channels);
  const arrivals = readings.map((one, i) => toArrival(names[i] as string, one, names.length > 1, packer));
  const pathOf = (channel: number) => (isSingle ? [] : ['channels', names[channel] as string]);
  return new ChunkRequest(data_id, chunk_index, arrivals, {
    unknownNames,
    roundedNumbers: readings.some(holdsLarge) ? findRoundedNumbers(text) : undefined,
    implausibleTimes: findImplausibleTimes(readings, arrivals, pathOf, plausible),
  });
}

/**
 * Whether a number lies beyond the integers that float64 holds exactly. Only then the text is searched. 0.1 µs for 100
 * points.
 */
function holdsLarge({ timestamps, values }: ChannelReadings): boolean {
  return someLarge(values) || someLarge(timestamps);
}

function someLarge(numbers: readonly (number | null)[]): boolean {
  for (let i = 0; i < numbers.length; i++) {
    const one = numbers[i] as number | null;
    if (one !== null && (one > Number.MAX_SAFE_INTEGER || one < Number.MIN_SAFE_INTEGER)) return true;
  }
  return false;
}

function toArrival(
  channelName: string,
  readings: ChannelReadings,
  isMulti: boolean,
  packer: Packer | undefined,
): Arrival {
  const { timestamps, values } = readings;
  if (timestamps.length === values.length && values.length > 0)
    return { channelName, image: toChunkImage(readings, packer) };
  const what =
    values.length === timestamps.length ? 'no points' : `${timestamps.length} timestamps but ${values.length} values`;
  throw invalid(isMulti ? ['body', 'channels', channelName] : ['body', 'values'], `channel "${channelName}": ${what}`);
}
