import { type Static, Type } from '@sinclair/typebox';
import { DataEntryQuery, type SearchLimits } from '../catalogue/data-entries/schemas.ts';
import { Commit, channelNameLengthMax, DateTime, Nullable, Text, Uuid } from '../http/schemas.ts';
import { durationMsPattern } from '../lib/duration.ts';

export const layouts = ['long', 'wide'] as const;
export const formats = ['csv', 'parquet', 'xlsx'] as const;
export type Layout = (typeof layouts)[number];
export type Format = (typeof formats)[number];
export const fills = ['previous', 'mean'] as const;
export type Fill = (typeof fills)[number];

const Duration = (description: string) =>
  Type.Optional(
    Type.String({ maxLength: 16, pattern: durationMsPattern, description: `${description}: 250ms, 1s, 5m, 2h, 1d` }),
  );
const Instant = (description: string) =>
  Type.Optional(Type.String({ minLength: 1, maxLength: 40, description: `${description}; ISO 8601, or Unix seconds` }));

/** Which rows the wide layout has. */
const rowFields = {
  start: Instant('wide only: rows at this time or later'),
  end: Instant('wide only: rows at this time or earlier'),
  carry_in: Type.Optional(
    Type.Boolean({
      description:
        'wide only, with start: also the last point of each channel before start, in a row at its own time, for channels that ' +
        'are logged on change; not with every',
    }),
  ),
  every: Duration(
    'wide only: one row at each even time instead of one for each time that a channel has, so that instruments a moment apart ' +
      'stand in one row. Rows count from 1970, from the first point to the last; where there is nothing to show, a cell is empty',
  ),
  fill: Type.Optional(
    Type.Unsafe<Fill>({
      type: 'string',
      enum: [...fills],
      description:
        'what a row of `every` holds. previous: the last reading at or before its time; mean: the mean of the readings from ' +
        'its time on until the next row. Default previous',
    }),
  ),
  max_age: Duration('how old a reading may be that fill=previous shows; without it twice `every`'),
};

const contentFields = {
  layout: Type.Optional(
    Type.Unsafe<Layout>({
      type: 'string',
      enum: [...layouts],
      description:
        'long: one row per stored point, exactly as stored; wide: one row per instant, one column per channel. ' +
        'Default long',
    }),
  ),
  units_in_headers: Type.Optional(
    Type.Boolean({
      description:
        'wide only: call the column of a channel `NAME [UNIT]`, where all streams agree on its unit and no other column is ' +
        'called so',
    }),
  ),
  ...rowFields,
  channel_names: Type.Optional(
    Type.Array(Text({ minLength: 1, maxLength: channelNameLengthMax }), {
      description: 'only these channels; repeated',
    }),
  ),
};

const fileFields = {
  bom: Type.Optional(
    Type.Boolean({
      description: 'CSV only: begin with a byte order mark, without which Excel takes UTF-8 for another encoding',
    }),
  ),
  format: Type.Optional(
    Type.Unsafe<Format>({ type: 'string', enum: [...formats], description: 'kind of the file. Default csv' }),
  ),
  escape_formulas: Type.Optional(
    Type.Boolean({
      description:
        "CSV only: put a ' before names and units that a spreadsheet would run as a formula. Without it they stand as " +
        'they are stored',
    }),
  ),
};

/** Whether a query field describes the content or form of the file, and not which streams it holds. */
export const isContentField = (name: string) => name in contentFields || name in fileFields;

/** What is exported. */
export const ContentQuery = Type.Object(contentFields);
export type GridQuery = Pick<Static<typeof ContentQuery>, 'layout' | 'every' | 'fill' | 'max_age'>;
export const ExportQuery = Type.Object({ ...contentFields, ...fileFields });

/** The filters of the catalogue's search, and the ids of streams. */
function selectionFields(limits: SearchLimits) {
  const { data_ids, ...filters } = DataEntryQuery(limits).properties;
  return {
    data_ids: Type.Optional(
      Type.Array(Uuid('id'), { description: 'these streams, in this order; each must exist; repeated' }),
    ),
    ...filters,
  };
}

/** Selects streams by ids, by the filters of the catalogue's search, or by both. */
export const SelectionContentQuery = (limits: SearchLimits) =>
  Type.Object({ ...selectionFields(limits), ...contentFields });
export type SelectionContentQuery = Static<ReturnType<typeof SelectionContentQuery>>;
export const SelectionQuery = (limits: SearchLimits) =>
  Type.Object({ ...selectionFields(limits), ...contentFields, ...fileFields });

const file = (description: string) => ({ schema: { type: 'string', format: 'binary', description } });

/** The answer of an export: a file, which is sent without a serialiser. */
export const ExportFile = Type.Unsafe<unknown>({
  description: 'the file, streamed; Link points at what describes it',
  content: {
    'text/csv': file('UTF-8, comma, line feed, one header row; nothing stands for null'),
    'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet': file(
      'XLSX of one sheet, with dates in UTC; texts are never formulas',
    ),
    'application/vnd.apache.parquet': file('Apache Parquet; what describes it is in its metadata under `metrology`'),
  },
});

/** A part of the file that a range asked for. */
export const ExportPart = Type.Unsafe<unknown>({
  ...ExportFile,
  description: 'the bytes of the file that Range asks for; of streams that are finalized and past the grace',
});
export const NotModified = Type.Null({ description: 'the file is still the one of If-None-Match' });

const text = Nullable(Type.String());
const named = (description: string) =>
  Nullable(Type.Object({ id: Type.String(), name: Type.String() }, { description }));

const ExportedChannel = Type.Object({
  channel_name: Type.String(),
  units: Nullable(
    Type.String({ description: 'of the newest chunk that has one; in the long layout every row has its own' }),
  ),
  chunk_count: Type.Integer(),
  point_count: Type.Integer(),
  time_min: Nullable(Type.Number({ description: 'Unix seconds' })),
  time_max: Nullable(Type.Number()),
});

const ExportedStream = Type.Object({
  data_id: Type.String(),
  stream_name: Type.String(),
  points_per_chunk: Type.Integer(),
  created_at: DateTime('when the stream was opened'),
  finalized_at: Nullable(DateTime('null while it may still grow')),
  instrument_type: text,
  instrument: Nullable(
    Type.Object({ id: Type.Integer(), name: Type.String(), type: Type.String(), model: text, serial_id: text }),
  ),
  physical_sample: named('where the data come from'),
  project: named('the project of the stream'),
  tags: Type.Array(Type.String()),
  user: Type.String({ description: 'who opened the stream' }),
  channels: Type.Array(ExportedChannel),
});

const ExportColumn = Type.Object({
  name: Type.String(),
  type: Type.Unsafe<'text' | 'integer' | 'float64' | 'time'>({
    type: 'string',
    enum: ['text', 'integer', 'float64', 'time'],
  }),
  channel_name: Type.Optional(Type.String({ description: 'wide: the channel that the column holds' })),
  units: Type.Optional(Nullable(Type.String({ description: 'wide: null where streams differ or have none' }))),
});

export const ExportMetadata = Type.Object(
  {
    server: Type.Object({ name: Type.String(), version: Type.String(), commit: Commit }),
    exported_at: DateTime('when the export began'),
    layout: Type.Unsafe<Layout>({ type: 'string', enum: [...layouts] }),
    window: Type.Optional(
      Type.Object(
        {
          start: Nullable(Type.Number()),
          end: Nullable(Type.Number()),
          carry_in: Type.Optional(
            Type.Literal(true, {
              description:
                'rows before start hold the last point of each channel before it; only where carry_in was given',
            }),
          ),
        },
        { description: 'in Unix seconds; only where start or end was given' },
      ),
    ),
    grid: Type.Optional(
      Type.Object(
        {
          every_seconds: Type.Number({ description: 'row k is at k × every_seconds since 1970' }),
          fill: Type.Unsafe<Fill>({ type: 'string', enum: [...fills] }),
          max_age_seconds: Type.Optional(
            Type.Number({ description: 'previous: an older reading is not shown, so that gaps stay empty' }),
          ),
        },
        { description: 'only where every was given: the readings are not the stored ones, but what fill made of them' },
      ),
    ),
    columns: Type.Array(ExportColumn),
    streams: Type.Array(ExportedStream),
  },
  { description: 'where the data of an export come from and what its columns hold' },
);

export const DownloadQuery = Type.Object({
  return_as: Type.Literal('url-download', { description: 'the answer is the address of the file' }),
});

export const Download = Type.Object({
  url: Type.String({ description: 'absolute; asks for the same key in X-API-KEY' }),
  file_name: Type.String(),
  file_format: Type.Unsafe<Format>({ type: 'string', enum: [...formats] }),
});
