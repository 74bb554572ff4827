export interface SentChunk {
  chunk_index: number;
  timestamps: number[];
  values: (number | null)[];
  units?: string;
}

/** Each channel of a stream as it is read back in the end, with what was sent chunk by chunk. */
export const channels: Record<string, SentChunk[]>;

/** Writes a project, a sample, and a stream of this name; one chunk is replaced, and one is sent twice. */
export function write(endpoint: string, key: string, name: string): Promise<void>;
