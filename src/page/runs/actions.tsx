import { useState } from 'preact/hooks';
import { base, queryOf } from '../api/client.ts';
import { deleteRuns, listTags, type Run, restoreRuns, tagRuns } from '../api/runs.ts';
import { Dialog } from '../lib/dialog.tsx';
import { plural } from '../lib/numbers.ts';
import { linkTo } from '../navigation.ts';
import { namesOf } from '../run/details.tsx';
import { EditableText } from '../run/editable-text.tsx';
import { useMay } from '../sign-in/scopes.ts';
import { comparedRunsMax } from '../url-state.ts';

/** Most runs in one file, since the address names all their ids. */
const exportedRunsMax = 200;
/** Names that the dialog before a deletion shows. */
const namedMax = 10;

interface ActionsProps {
  runs: readonly Run[];
  onNone(): void;
  onDeleted(dataIds: string[]): void;
  onChanged(): void;
}

/** The actions on the chosen runs. */
export function Actions({ runs, onNone, onDeleted, onChanged }: ActionsProps) {
  const [dialog, setDialog] = useState<'tag' | 'delete'>();
  const [deleted, setDeleted] = useState<string[]>([]);
  const [mayWrite, mayDelete] = [useMay('write'), useMay('delete')];
  const ids = runs.map(({ data_id }) => data_id);
  const close = () => setDialog(undefined);
  if (runs.length === 0) return <Undo dataIds={deleted} onDone={() => setDeleted([])} onRestored={onChanged} />;
  const file = (format: string) => `${base}exports/?${queryOf({ data_ids: ids, format, layout: 'long' })}`;
  return (
    <div class="actions" role="toolbar" aria-label="With the runs that are chosen">
      <strong>{plural(runs.length, 'run')}</strong>
      {runs.length >= 2 && runs.length <= comparedRunsMax && (
        <a class="button primary" {...linkTo({ view: 'compare', dataIds: ids, window: { kind: 'all' } })}>
          Lay over each other
        </a>
      )}
      {runs.length > comparedRunsMax && (
        <span class="quiet-text">up to {comparedRunsMax} can be laid over each other</span>
      )}
      {runs.length <= exportedRunsMax && (
        <>
          <a class="button" href={file('csv')} download>
            CSV
          </a>
          <a class="button" href={file('parquet')} download>
            Parquet
          </a>
        </>
      )}
      {mayWrite && (
        <button type="button" onClick={() => setDialog('tag')}>
          Tag
        </button>
      )}
      {mayDelete && (
        <button type="button" class="danger" onClick={() => setDialog('delete')}>
          Delete
        </button>
      )}
      <button type="button" class="quiet" onClick={onNone}>
        Choose none
      </button>
      {dialog === 'tag' && (
        <Dialog title={`Tag ${plural(runs.length, 'run')}`} onClose={close}>
          <EditableText
            label="Tag"
            value=""
            isOpen
            known={() => listTags().then(namesOf)}
            onSave={async (name) => {
              await tagRuns(ids, name);
              onChanged();
            }}
            onDone={close}
          />
        </Dialog>
      )}
      {dialog === 'delete' && (
        <DeleteDialog
          runs={runs}
          onClose={close}
          onDeleted={() => {
            close();
            setDeleted(ids);
            onDeleted(ids);
          }}
        />
      )}
    </div>
  );
}

function DeleteDialog({
  runs,
  onClose,
  onDeleted,
}: {
  runs: readonly Run[];
  onClose: () => void;
  onDeleted: () => void;
}) {
  const [message, setMessage] = useState('');
  const points = runs.reduce((sum, { point_count }) => sum + point_count, 0);
  const growing = runs.filter(({ status }) => status === 'live').length;
  const remove = async () => {
    setMessage('deleting …');
    try {
      await deleteRuns(runs.map(({ data_id }) => data_id));
      onDeleted();
    } catch (error) {
      setMessage((error as Error).message);
    }
  };
  return (
    <Dialog title={`Delete ${plural(runs.length, 'run')}?`} onClose={onClose}>
      <p>With {plural(points, 'point')}, their chunks and their revisions:</p>
      <ul class="plain">
        {runs.slice(0, namedMax).map(({ data_id, name }) => (
          <li key={data_id} dir="auto">
            {name}
          </li>
        ))}
        {runs.length > namedMax && <li>and {runs.length - namedMax} more</li>}
      </ul>
      {growing > 0 && (
        <p class="warning">
          {plural(growing, 'of them is', 'of them are')} still growing: what an instrument sends from now on is refused.
        </p>
      )}
      <p class="quiet-text">
        They are in no list and no answer any more. Until they are removed for good they can be restored.
      </p>
      <p class="buttons">
        <button type="button" class="danger" onClick={remove}>
          Delete
        </button>
        <button type="button" onClick={onClose}>
          Keep
        </button>
      </p>
      {message !== '' && <p role="status">{message}</p>}
    </Dialog>
  );
}

function Undo({ dataIds, onDone, onRestored }: { dataIds: string[]; onDone: () => void; onRestored: () => void }) {
  const [message, setMessage] = useState('');
  if (dataIds.length === 0) return null;
  const restore = async () => {
    try {
      await restoreRuns(dataIds);
      onDone();
      onRestored();
    } catch (error) {
      setMessage((error as Error).message);
    }
  };
  return (
    <p class="actions" role="status">
      {plural(dataIds.length, 'run')} deleted.{' '}
      <button type="button" onClick={restore}>
        Restore
      </button>
      <button type="button" class="quiet" aria-label="Dismiss" onClick={onDone}>
        ✕
      </button>{' '}
      {message}
    </p>
  );
}
