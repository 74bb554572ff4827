import type { Static } from '@sinclair/typebox';
import type { OrganizationDatabase } from '../database/organizations.ts';
import { fieldBytes } from '../lib/json-fields.ts';
import { JsonWriter, type Pieces, pieceBytes, writeFloats } from '../lib/json-writer.ts';
import type { LedgerLimits } from './limits.ts';
import {
  listRevisions,
  type Revision,
  type RevisionArrays,
  type RevisionFilter,
  type RevisionPlace,
} from './revision-list-store.ts';
import { RevisionAnswer, type RevisionOfChunk, RevisionsAnswer } from './schemas.ts';
import { findStreamFacts } from './store.ts';

const fields = fieldBytes(RevisionsAnswer);
const ofOne = fieldBytes(RevisionAnswer);

/**
 * The revisions of a stream, page by page; each page is of its own moment.
 * @throws ApiError 404 when the stream was deleted before the end: then some revisions may be missing from the answer
 */
export async function* revisionsAnswer(
  organization: OrganizationDatabase,
  dataId: string,
  filter: RevisionFilter,
  { pageRevisionsMax }: LedgerLimits,
): Pieces {
  const writer = new JsonWriter(pieceBytes);
  writer.bytes(fields.data_id).value(dataId).bytes(fields.revisions).raw('[');
  let last: RevisionPlace | undefined;
  for (let isLast = false; !isLast; ) {
    const page = await listRevisions(organization, dataId, filter, last, pageRevisionsMax);
    for (const revision of page) {
      if (last !== undefined) writer.raw(',');
      writer.value(shown(revision));
      last = revision;
      if (writer.isFull) yield writer.take();
    }
    isLast = page.length < pageRevisionsMax;
  }
  await findStreamFacts(organization, dataId);
  yield writer.raw(']}').take();
}

/** One revision with its arrays. Every float64 has the bits it was sent with. */
export async function* revisionAnswer(dataId: string, revision: Revision & RevisionArrays): Pieces {
  const writer = new JsonWriter(pieceBytes);
  const head: Omit<Static<typeof RevisionAnswer>, 'timestamps' | 'values'> = { data_id: dataId, ...shown(revision) };
  writer.raw(JSON.stringify(head).slice(0, -1));
  yield* writeFloats(writer.bytes(ofOne.timestamps), revision.timestamps);
  yield* writeFloats(writer.bytes(ofOne.values), revision.values);
  yield writer.raw('}').take();
}

/** The fields of a revision without floats: whole numbers and text, which JSON.stringify writes exactly. */
function shown(revision: Revision): Static<typeof RevisionOfChunk> {
  const { channel_name, chunk_index, content_hash, replacing_hash, point_count, null_count, units } = revision;
  return {
    channel_name,
    chunk_index,
    revision: revision.revision,
    stored_at: revision.stored_at,
    stored_by: revision.stored_by,
    replaced_at: revision.replaced_at,
    replaced_by: revision.replaced_by,
    content_hash,
    replacing_hash,
    point_count,
    null_count,
    units,
  };
}
