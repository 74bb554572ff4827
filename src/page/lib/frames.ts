/** Calls back once in the next frame, however often it was asked for before that. */
export function oncePerFrame(draw: () => void): { ask(): void; stop(): void } {
  let handle: number | undefined;
  return {
    ask() {
      handle ??= requestAnimationFrame(() => {
        handle = undefined;
        draw();
      });
    },
    stop() {
      if (handle !== undefined) cancelAnimationFrame(handle);
      handle = undefined;
    },
  };
}
