import { sql } from 'kysely';

/**
 * SQL of whether a list reads the document of a column separately: if it is compressed, or has more than this many bytes.
 * Earlier releases stored documents of any size, and 33 MB of repetitive text take 0.4 MB compressed.
 */
export const isApart = (column: string, inlineBytesMax: number) => sql<boolean>`
  coalesce(pg_column_size(${sql.ref(column)}) > ${inlineBytesMax}::integer
    or pg_column_compression(${sql.ref(column)}) is not null, false)`;
