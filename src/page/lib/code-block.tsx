/** Text to be copied; a long line is scrolled by keys too. */
export function CodeBlock({ text }: { text: string }) {
  // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keys.
  return <pre tabIndex={0}>{text}</pre>;
}
