/** Saves the plots that are on the screen as one PNG, each below its name. @returns false when there is no plot */
export async function savePicture(title: string): Promise<boolean> {
  const cards = [...document.querySelectorAll<HTMLElement>('.plot-card')].filter((card) =>
    card.querySelector('.plot canvas'),
  );
  const axis = document.querySelector<HTMLCanvasElement>('.time-axis');
  if (cards.length === 0 || axis === null) return false;
  const ratio = devicePixelRatio;
  const [headHeight, nameHeight] = [36 * ratio, 24 * ratio];
  const plots = cards.map((card) => ({
    names: [...card.querySelectorAll('h2')].map((name) => name.textContent).join(', '),
    canvas: card.querySelector('.plot canvas') as HTMLCanvasElement,
  }));
  const canvas = document.createElement('canvas');
  canvas.width = Math.max(...plots.map((plot) => plot.canvas.width), axis.width);
  canvas.height = headHeight + plots.reduce((sum, plot) => sum + nameHeight + plot.canvas.height, 0) + axis.height;
  const pen = canvas.getContext('2d') as CanvasRenderingContext2D;
  const style = getComputedStyle(document.body);
  pen.fillStyle = style.backgroundColor;
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.fillStyle = style.color;
  pen.font = `${16 * ratio}px system-ui, sans-serif`;
  pen.fillText(title, 12 * ratio, 24 * ratio, canvas.width - 24 * ratio);
  pen.font = `${13 * ratio}px system-ui, sans-serif`;
  let top = headHeight;
  for (const plot of plots) {
    pen.fillText(plot.names, 12 * ratio, top + 17 * ratio, canvas.width - 24 * ratio);
    pen.drawImage(plot.canvas, 0, top + nameHeight);
    top += nameHeight + plot.canvas.height;
  }
  pen.drawImage(axis, 0, top);
  const blob = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, 'image/png'));
  if (blob === null) return false;
  save(blob, `${fileName(title)}.png`);
  return true;
}

/** A file name that every file system accepts. */
export const fileName = (title: string): string =>
  title
    .replace(/[\p{Cc}\p{Cf}<>:"/\\|?*]/gu, '_')
    .slice(0, 80)
    .trim() || 'run';

export function save(blob: Blob, name: string): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
