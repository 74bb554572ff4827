import type { OrganizationDatabase } from '../database/organizations.ts';
import { notFound } from '../errors.ts';

export interface StreamHead {
  data_id: string;
  points_per_chunk: number;
}

/**
 * A channel with its exact counters. time_min and time_max are in Unix seconds, null where no point has a possible time.
 */
export interface ChannelHead {
  data_id: string;
  channel_id: number;
  channel_name: string;
  units: string | null;
  chunk_count: number;
  point_count: number;
  time_min: number | null;
  time_max: number | null;
  /** When one of its chunks was last stored or replaced, ISO 8601. */
  changed_at: string;
}

/** @throws ApiError 404 for an id that is unknown or of another organization */
export async function findStream({ organizationId, pool }: OrganizationDatabase, dataId: string): Promise<StreamHead> {
  const { rows } = await pool.query<StreamHead>({
    name: 'find_stream_to_read',
    text: `select data_id, points_per_chunk from streams
           where data_id = $1::uuid and organization_id = $2::uuid and deleted_at is null`,
    values: [dataId, organizationId],
  });
  if (rows[0] === undefined) throw notFound('data_id');
  return rows[0];
}

/** The growth instrument that a stream was measured with; where it is unknown, the kind of instrument; else null. */
export async function findSystem(
  { organizationId, pool }: OrganizationDatabase,
  dataId: string,
): Promise<string | null> {
  const { rows } = await pool.query<{ system: string | null }>(
    `select coalesce(i.source_name, s.instrument_type) as system
     from streams s
     left join growth_instruments i on i.synth_source_id = s.synth_source_id and i.organization_id = s.organization_id
     where s.data_id = $1::uuid and s.organization_id = $2::uuid`,
    [dataId, organizationId],
  );
  return rows[0]?.system ?? null;
}

/** The channels of a stream that hold points, ordered by the code points of their names. */
export async function listReadChannels(
  { organizationId, pool }: OrganizationDatabase,
  dataId: string,
): Promise<ChannelHead[]> {
  const { rows } = await pool.query<ChannelHead>({
    name: 'list_channels_to_read',
    text: `select c.data_id, c.channel_id, c.channel_name, c.units, c.chunk_count, c.point_count, c.time_min, c.time_max,
                  c.changed_at
           from channels c join streams s on s.data_id = c.data_id
           where c.data_id = $1::uuid and s.organization_id = $2::uuid and c.point_count > 0
           order by c.channel_name collate "C"`,
    values: [dataId, organizationId],
  });
  return rows;
}
