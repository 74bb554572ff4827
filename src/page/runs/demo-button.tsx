import { useState } from 'preact/hooks';
import { base } from '../api/client.ts';
import { CodeBlock } from '../lib/code-block.tsx';
import { CopyButton } from '../lib/copy-button.tsx';
import { show } from '../navigation.ts';
import { runState } from '../url-state.ts';
import { startDemo } from './stream-demo.ts';

/** A server without runs: a demo to look at, and how the first run comes from an instrument. */
export function StreamDemo() {
  const [said, setSaid] = useState('');
  const start = async () => {
    setSaid('opening a stream …');
    try {
      const dataId = await startDemo(setSaid);
      show({ ...runState(dataId), window: { kind: 'all' } });
    } catch (error) {
      setSaid((error as Error).message);
    }
  };
  const python = pythonOf(base.replace(/\/$/, ''));
  return (
    <section class="empty welcome">
      <h2>No run yet</h2>
      <p>
        See one grow: a year of Seattle's weather, hour by hour, streamed by this page as an instrument would, in some
        twenty seconds.
      </p>
      <p>
        <button type="button" class="primary large" disabled={said.endsWith('…')} onClick={start}>
          Stream a demo
        </button>
      </p>
      {said !== '' && <p role="status">{said}</p>}
      <p>
        Or stream a first run from Python, with a key in <code>AS_API_KEY</code>:
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
