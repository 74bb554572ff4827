/** Calls `draw` once in the next animation frame, however often `ask` is called before it. */
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
