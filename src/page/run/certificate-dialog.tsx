import { readCertificate } from '../api/ledger.ts';
import { CopyButton } from '../lib/copy-button.tsx';
import { Dialog } from '../lib/dialog.tsx';
import { useLoaded } from '../lib/hooks.ts';
import { plural } from '../lib/numbers.ts';
import { save } from './picture.ts';

interface Certificate {
  stream_name: string;
  finalized_at: string | null;
  certified_at: string;
  channel_count: number;
  chunk_count: number;
  point_count: number;
  missing_count: number;
  irregular_count: number;
  late_chunk_count: number;
  null_count: number;
  root_hash: string;
}

/** Shows the completeness certificate: what the run has, what is missing, and the root hash. */
export function CertificateDialog({ dataId, onClose }: { dataId: string; onClose: () => void }) {
  const { value, error } = useLoaded(() => readCertificate(dataId), [dataId]);
  const one = value as Certificate | undefined;
  const text = JSON.stringify(value, null, 2);
  return (
    <Dialog title="Completeness certificate" onClose={onClose}>
      {error !== undefined && <p role="alert">{error.message}</p>}
      {one === undefined && error === undefined && <p role="status">Hashing every stored chunk …</p>}
      {one !== undefined && (
        <>
          <p class={one.missing_count === 0 ? 'verdict good' : 'verdict bad'}>
            {one.missing_count === 0
              ? '✓ No chunk is missing below the highest one of each channel.'
              : `▨ ${plural(one.missing_count, 'chunk')} missing.`}
          </p>
          <dl class="details">
            <dt>Holds</dt>
            <dd>
              {plural(one.channel_count, 'channel')}, {plural(one.chunk_count, 'chunk')},{' '}
              {plural(one.point_count, 'point')}
            </dd>
            <dt>Absent readings</dt>
            <dd>{one.null_count}</dd>
            <dt>Irregular chunks</dt>
            <dd>{one.irregular_count}</dd>
            <dt>Stored after the end</dt>
            <dd>{plural(one.late_chunk_count, 'chunk')}</dd>
            <dt>Finalized</dt>
            <dd>{one.finalized_at ?? 'not yet: the certificate changes with what still arrives'}</dd>
            <dt>Certified</dt>
            <dd>{one.certified_at}</dd>
            <dt>Root hash</dt>
            <dd>
              <code class="hash">{one.root_hash}</code>
            </dd>
          </dl>
          <p class="buttons">
            <button
              type="button"
              class="primary"
              onClick={() => save(new Blob([text], { type: 'application/json' }), `certificate-${dataId}.json`)}
            >
              Save as JSON
            </button>
            <CopyButton text={one.root_hash} label="Copy the root hash" />
          </p>
          <p class="quiet-text">
            <code>tools/verify_certificate.py</code> computes it anew from an export, without this server.
          </p>
        </>
      )}
    </Dialog>
  );
}
