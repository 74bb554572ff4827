import { useState } from 'preact/hooks';
import {
  addSampleToProject,
  type DataEntry,
  linkSample,
  listProjects,
  listSamples,
  listTags,
  type NamedLink,
  noteOnRun,
  readEntry,
  renameRun,
  tagRuns,
  untagRun,
} from '../api/runs.ts';
import { useMay } from '../sign-in/scopes.ts';
import { EditableNote } from './editable-note.tsx';
import { EditableText } from './editable-text.tsx';
import type { OpenRun } from './open-run.ts';

/** The entry of a run in the catalogue. Whoever may write edits its fields in place. */
export function Details({ run, onChanged }: { run: OpenRun; onChanged: (entry: DataEntry) => void }) {
  const { entry } = run;
  const id = entry.data_id;
  const changing = (change: (text: string) => Promise<unknown>) => async (text: string) => {
    await change(text);
    const next = await readEntry(id);
    if (next !== undefined) onChanged(next);
  };
  const sampleId = entry.physical_sample_id;
  const mayWrite = useMay('write');
  return (
    <section class="card">
      <h2>Details</h2>
      <dl class="details">
        <dt>Name</dt>
        <dd>
          <EditableText label="Name" value={entry.raw_name} onSave={changing((name) => renameRun(id, name))} />
        </dd>
        <dt>Sample</dt>
        <dd>
          <EditableText
            label="Sample"
            value={entry.physical_sample_name ?? ''}
            known={() => listSamples().then(namesOf)}
            onSave={changing((name) => linkSample(id, name))}
          />
        </dd>
        <dt>Project</dt>
        <dd>
          {entry.projects.map(({ name }) => name).join(', ')}
          {sampleId === null ? (
            <span class="quiet-text"> {mayWrite && entry.projects.length === 0 && 'give the run a sample first'}</span>
          ) : (
            <AddOne
              label="Add to a project"
              known={() => listProjects().then(namesOf)}
              onAdd={changing((name) => addSampleToProject(sampleId, name))}
            />
          )}
        </dd>
        <dt>Tags</dt>
        <dd>
          {tagNames(entry).map((tag) => (
            <TagOfRun key={tag} name={tag} onRemove={() => changing((name) => untagRun(id, name))(tag)} />
          ))}
          <AddOne
            label="Add a tag"
            known={() => listTags().then(namesOf)}
            onAdd={changing((name) => tagRuns([id], name))}
          />
        </dd>
        <dt>Note</dt>
        <dd>
          <EditableNote
            value={entry.detail_note_content ?? ''}
            changedAt={entry.detail_note_last_updated}
            onSave={changing((note) => noteOnRun(id, note))}
          />
        </dd>
        <dt>Instrument</dt>
        <dd dir="auto">{entry.source_name ?? '–'}</dd>
        <dt>User</dt>
        <dd dir="auto">{entry.name ?? '–'}</dd>
        <dt>Chunks of</dt>
        <dd>{entry.file_metadata.points_per_chunk} points</dd>
        <dt>Id</dt>
        <dd>
          <code class="id">{id}</code>
        </dd>
      </dl>
    </section>
  );
}

function TagOfRun({ name, onRemove }: { name: string; onRemove: () => Promise<void> }) {
  const [message, setMessage] = useState('');
  const mayWrite = useMay('write');
  const remove = () => onRemove().catch((error: Error) => setMessage(error.message));
  return (
    <span class={mayWrite ? 'tag removable' : 'tag'}>
      <span class="tag-name" dir="auto" title={name}>
        {name}
      </span>
      {mayWrite && (
        <button type="button" class="quiet" aria-label={`Remove the tag ${name}`} onClick={remove}>
          ×
        </button>
      )}
      {message !== '' && <span role="status"> {message}</span>}
    </span>
  );
}

export const tagNames = ({ tags }: Pick<DataEntry, 'tags'>) =>
  tags.map((tag) => (typeof tag === 'string' ? tag : tag.name));

export const namesOf = (list: readonly NamedLink[]) => list.map(({ name }) => name);

function AddOne(props: { label: string; known: () => Promise<string[]>; onAdd: (name: string) => Promise<void> }) {
  const [isOpen, setOpen] = useState(false);
  if (!useMay('write')) return null;
  if (!isOpen) {
    return (
      <button type="button" class="quiet" onClick={() => setOpen(true)} aria-label={props.label}>
        + add
      </button>
    );
  }
  return (
    <EditableText
      label={props.label}
      value=""
      isOpen
      known={props.known}
      onSave={props.onAdd}
      onDone={() => setOpen(false)}
    />
  );
}
