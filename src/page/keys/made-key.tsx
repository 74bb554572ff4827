import type { MadeKey } from '../api/keys.ts';
import { CodeBlock } from '../lib/code-block.tsx';
import { CopyButton } from '../lib/copy-button.tsx';

/** Shows a new key with its secret. It is shown only here. */
export function MadeKeyText({ made, onClose }: { made: MadeKey; onClose: () => void }) {
  return (
    <>
      <p role="status">
        This is key {made.key_id} of <bdi>{made.user_name}</bdi>. It is shown once: nobody can see it again.
      </p>
      <CodeBlock text={made.api_key} />
      <p class="buttons">
        <CopyButton text={made.api_key} label="Copy the key" />
        <button type="button" class="primary" onClick={onClose}>
          Done
        </button>
      </p>
    </>
  );
}
