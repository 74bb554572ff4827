import { useState } from 'preact/hooks';
import { base, queryOf } from '../api/client.ts';
import { CodeBlock } from '../lib/code-block.tsx';
import { CopyButton } from '../lib/copy-button.tsx';
import { Dialog } from '../lib/dialog.tsx';
import type { Range } from '../plot/window.ts';
import type { RunState } from '../url-state.ts';
import type { OpenRun } from './open-run.ts';
import { savePicture } from './picture.ts';
import { snippetsOf } from './snippets.ts';

interface TakeAwayProps {
  state: RunState;
  run: OpenRun;
  window: () => Range | undefined;
}

/** Exports of a run as files, and programs that read it. */
export function TakeAway({ state, run, window }: TakeAwayProps) {
  const [isOpen, setOpen] = useState(false);
  const [message, setMessage] = useState('');
  const { hidden } = state.shown;
  const shown = run.channels.map(({ name }) => name).filter((name) => !hidden.includes(name));
  const channels = hidden.length === 0 ? undefined : shown;
  const file = (fields: Record<string, string>) =>
    `${base}exports/${state.dataId}?${queryOf({ ...fields, channel_names: channels })}`;
  const picture = async () => {
    setMessage((await savePicture(run.entry.raw_name)) ? '' : 'There is no plot on the screen.');
  };
  return (
    <section class="card">
      <h2>Take away</h2>
      <p class="buttons">
        <a class="button" href={file({ format: 'csv', layout: 'wide' })} download>
          CSV
        </a>
        <a class="button" href={file({ format: 'csv', layout: 'long' })} download>
          CSV, every point
        </a>
        <a class="button" href={file({ format: 'parquet', layout: 'wide' })} download>
          Parquet
        </a>
        <button type="button" onClick={picture}>
          PNG of the plots
        </button>
        <button type="button" onClick={() => setOpen(true)}>
          Use in Python, SQL, curl
        </button>
      </p>
      <p class="quiet-text">
        Files hold the whole run{channels === undefined ? '' : ', of the channels that are shown'}.
      </p>
      {message !== '' && <p role="status">{message}</p>}
      {isOpen && (
        <SnippetsDialog
          state={state}
          channels={shown}
          window={state.window.kind === 'all' ? undefined : window()}
          onClose={() => setOpen(false)}
        />
      )}
    </section>
  );
}

function SnippetsDialog(props: {
  state: RunState;
  channels: string[];
  window: Range | undefined;
  onClose: () => void;
}) {
  const { state, channels, window, onClose } = props;
  const snippets = snippetsOf({ endpoint: base.replace(/\/$/, ''), dataId: state.dataId, channels, window });
  return (
    <Dialog title="Read this run by a program" onClose={onClose} isWide>
      <p>
        {window === undefined ? 'All of the run' : 'The window that is shown'}, with the channels that are shown. The
        key comes from the environment: <code>AS_API_KEY</code>.
      </p>
      {snippets.map(({ name, text }) => (
        <section key={name}>
          <div class="card-head">
            <h3>{name}</h3>
            <CopyButton text={text} label={`Copy ${name}`} />
          </div>
          <CodeBlock text={text} />
        </section>
      ))}
    </Dialog>
  );
}
