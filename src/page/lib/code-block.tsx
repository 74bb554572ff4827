/** Text to copy. A long line can be scrolled by keyboard too. */
export function CodeBlock({ text }: { text: string }) {
  // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must take the keyboard focus.
  return <pre tabIndex={0}>{text}</pre>;
}
