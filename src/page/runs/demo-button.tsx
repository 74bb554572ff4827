import { useState } from 'preact/hooks';
import { base } from '../api/client.ts';
import { CodeBlock } from '../lib/code-block.tsx';
import { CopyButton } from '../lib/copy-button.tsx';
import { show } from '../navigation.ts';
import { useMay } from '../sign-in/scopes.ts';
import { runState } from '../url-state.ts';
import { startDemo } from './stream-demo.ts';

/** Shown while there are no runs: a demo, and how to send a first run from Python. */
export function StreamDemo() {
  const [message, setMessage] = useState('');
  const mayWrite = useMay('write');
  const start = async () => {
    setMessage('opening a stream …');
    try {
      const dataId = await startDemo(setMessage);
      show({ ...runState(dataId), window: { kind: 'all' } });
    } catch (error) {
      setMessage((error as Error).message);
    }
  };
  const python = pythonOf(base.replace(/\/$/, ''));
  return (
    <section class="empty welcome">
      <h2>No run yet</h2>
      {mayWrite && (
        <>
          <p>
            See one grow: a year of Seattle's weather, hour by hour, streamed by this page as an instrument would, in
            some twenty seconds.
          </p>
          <p>
            <button type="button" class="primary large" disabled={message.endsWith('…')} onClick={start}>
              Stream a demo
            </button>
          </p>
        </>
      )}
      {message !== '' && <p role="status">{message}</p>}
      <p>
        {mayWrite ? 'Or stream a first run' : 'Stream a first run'} from Python, with a key in <code>AS_API_KEY</code>:
      </p>
      <CodeBlock text={python} />
      <CopyButton text={python} />
    </section>
  );
}

const pythonOf = (endpoint: string) => `# pip install atomscale
import os, time
from atomscale.streaming import TimeseriesStreamer

streamer = TimeseriesStreamer(api_key=os.environ["AS_API_KEY"], endpoint=${JSON.stringify(endpoint)}, points_per_chunk=3)
data_id = streamer.initialize(stream_name="First run")
t = time.time()
streamer.run(data_id, "thickness", [([t, t + 1, t + 2], [0.0, 5.2, 10.1])], units="nm")
streamer.finalize(data_id)
`;
