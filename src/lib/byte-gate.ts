/** Lets work in while the bytes of all work inside stay within a bound; the rest waits in order. */
export interface ByteGate {
  /**
   * Waits until there is room for so many bytes. What alone is larger than the bound gets in when nothing else is inside.
   * @returns how to leave again; more than one call is one
   * @throws what `late` makes, when there was no room for `waitMsMax`
   */
  enter(bytes: number): Promise<() => void>;
  /** Bytes inside, and how many wait. */
  state(): { bytes: number; waiting: number };
}

interface Options {
  bytesMax: number;
  waitMsMax: number;
  late(): Error;
}

export function createByteGate({ bytesMax, waitMsMax, late }: Options): ByteGate {
  const waiting = new Set<{ bytes: number; admit(): void }>();
  let inside = 0;

  const hasRoom = (bytes: number) => inside === 0 || inside + bytes <= bytesMax;

  function admit(bytes: number): () => void {
    inside += bytes;
    let left = false;
    return () => {
      if (left) return;
      left = true;
      inside -= bytes;
      for (const next of waiting) {
        if (!hasRoom(next.bytes)) return;
        waiting.delete(next);
        next.admit();
      }
    };
  }

  return {
    enter(bytes) {
      if (waiting.size === 0 && hasRoom(bytes)) return Promise.resolve(admit(bytes));
      return new Promise((resolve, reject) => {
        const entry = {
          bytes,
          admit() {
            clearTimeout(timer);
            resolve(admit(bytes));
          },
        };
        const timer = setTimeout(() => {
          waiting.delete(entry);
          reject(late());
        }, waitMsMax);
        waiting.add(entry);
      });
    },
    state: () => ({ bytes: inside, waiting: waiting.size }),
  };
}
