import type { OrganizationDatabase } from '../database/organizations.ts';
import { JsonWriter, type Pieces, pieceBytes, writeFloats } from '../lib/json-writer.ts';
import type { LedgerLimits } from './limits.ts';
import {
  listRevisions,
  type Revision,
  type RevisionArrays,
  type RevisionFilter,
  type RevisionPlace,
} from './revision-list-store.ts';
import { findStreamFacts } from './store.ts';

/**
 * The revisions of a stream, page by page, each page as it stands when it is fetched.
 * @throws ApiError 404 when the stream has been deleted by the end: some may have been removed
 */
export async function* revisionsAnswer(
  organization: OrganizationDatabase,
  dataId: string,
  filter: RevisionFilter,
  { pageRevisionsMax }: LedgerLimits,
): Pieces {
  const writer = new JsonWriter(pieceBytes);
  writer.raw('{"data_id":').value(dataId).raw(',"revisions":[');
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

/** One revision with its arrays, every float64 with the bits it was sent with. */
export async function* revisionAnswer(dataId: string, revision: Revision & RevisionArrays): Pieces {
  const writer = new JsonWriter(pieceBytes);
  const head = JSON.stringify({ data_id: dataId, ...shown(revision) });
  yield* writeFloats(writer.raw(head.slice(0, -1)).raw(',"timestamps":'), revision.timestamps);
  yield* writeFloats(writer.raw(',"values":'), revision.values);
  yield writer.raw('}').take();
}

/** Whole numbers and text only. */
function shown(revision: Revision) {
  const { channel_name, chunk_index, content_hash, replacing_hash, point_count, null_count, units } = revision;
  return {
    channel_name,
    chunk_index,
    revision: revision.revision,
    stored_at: revision.stored_at,
    stored_by: { key_hint: revision.stored_by_key_hint, user_name: revision.stored_by_user_name },
    replaced_at: revision.replaced_at,
    replaced_by: { key_hint: revision.replaced_by_key_hint, user_name: revision.replaced_by_user_name },
    content_hash,
    replacing_hash,
    point_count,
    null_count,
    units,
  };
}
