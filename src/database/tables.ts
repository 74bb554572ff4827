import type { ColumnType, Generated } from 'kysely';

/** timestamptz: read as ISO 8601 text, written as text. */
type Time = ColumnType<string, string | undefined, string>;
type NullableTime = ColumnType<string | null, string | null | undefined, string | null>;
type Json = ColumnType<unknown, string | null | undefined, string | null>;

/** The tables of `migrations/`, for Kysely. Column names are those of the wire wherever the wire has the thing. */
export interface Tables {
  organizations: { organization_id: Generated<string>; name: string; created_at: Time };
  users: { user_id: Generated<string>; organization_id: string; name: string; created_at: Time };
  api_keys: {
    key_id: Generated<number>;
    organization_id: string;
    user_id: string;
    public_id: string;
    key_hash: Buffer;
    key_hint: string;
    scopes: Generated<string[]>;
    created_at: Time;
    expires_at: NullableTime;
    revoked_at: NullableTime;
    last_used_at: NullableTime;
    replaces_key_id: number | null;
  };
  sql_readers: { role_name: string; organization_id: string; created_at: Time };
  growth_instruments: {
    synth_source_id: Generated<number>;
    organization_id: string;
    user_id: string;
    source_name: string;
    synth_source_type: string;
    source_model: string | null;
    serial_id: string | null;
    created_at: Time;
    deleted_at: NullableTime;
  };
  physical_samples: {
    physical_sample_id: Generated<string>;
    organization_id: string;
    user_id: string;
    name: string;
    growth_instrument_id: number | null;
    sample_id: number | null;
    detail_notes_id: string | null;
    physical_sample_metadata: Json;
    version: Generated<number>;
    created_at: Time;
    changed_at: Time;
  };
  projects: {
    project_id: Generated<string>;
    organization_id: string;
    user_id: string;
    name: string;
    api_configuration: Json;
    active_tracking_physical_sample_id: string | null;
    created_at: Time;
    changed_at: Time;
  };
  project_physical_samples: {
    project_id: string;
    physical_sample_id: string;
    organization_id: string;
    created_at: Time;
  };
  tags: { tag_id: Generated<string>; organization_id: string; user_id: string; name: string; created_at: Time };
  streams: {
    data_id: Generated<string>;
    organization_id: string;
    user_id: string;
    stream_name: string;
    points_per_chunk: number;
    instrument_type: string | null;
    synth_source_id: number | null;
    physical_sample_id: string | null;
    project_id: string | null;
    created_at: Time;
    changed_at: Time;
    finalized_at: NullableTime;
    deleted_at: NullableTime;
    removed_at: NullableTime;
    pipeline_status: string | null;
    char_source_type: string | null;
    note: string | null;
    note_changed_at: NullableTime;
  };
  processed_data_entries: {
    processed_data_id: Generated<string>;
    data_id: string;
    organization_id: string;
    created_at: Time;
  };
  stream_tags: { data_id: string; tag_id: string; organization_id: string; created_at: Time };
  channels: {
    organization_id: string;
    data_id: string;
    channel_id: Generated<number>;
    channel_name: string;
    chunk_count: Generated<number>;
    point_count: Generated<number>;
    null_count: Generated<number>;
    time_min: number | null;
    time_max: number | null;
    units: string | null;
    units_chunk_index: number | null;
    chunk_seconds_max: number | null;
    created_at: Time;
    changed_at: Time;
  };
  chunks: {
    organization_id: string;
    data_id: string;
    channel_id: number;
    chunk_index: number;
    start_offset: number;
    stored_at: Time;
    changed_at: Time;
    key_id: number;
    time_min: number | null;
    time_max: number | null;
    point_count: number;
    null_count: number;
    replaced_count: Generated<number>;
    ascending: boolean;
    content_hash: Buffer;
    units: string | null;
    timestamps: never;
    values: never;
    value_min: number | null;
    value_max: number | null;
    value_min_time: number | null;
    value_max_time: number | null;
  };
  chunk_revisions: {
    organization_id: string;
    data_id: string;
    channel_id: number;
    chunk_index: number;
    revision: number;
    replaced_at: Time;
    replaced_by_key_id: number;
    key_id: number;
    stored_at: Time;
    content_hash: Buffer;
    replacing_hash: Buffer;
    time_min: number | null;
    time_max: number | null;
    point_count: number;
    null_count: number;
    ascending: boolean;
    units: string | null;
    timestamps: never;
    values: never;
  };
}
