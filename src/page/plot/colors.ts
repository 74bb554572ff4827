/** The colours of a plot. They are read from the style sheet, so that both themes are defined in one place. */
export interface Colors {
  lines: string[];
  axis: string;
  grid: string;
  hatch: string;
  replaced: string;
  late: string;
  background: string;
  present: string;
}

export function readColors(): Colors {
  const style = getComputedStyle(document.documentElement);
  const color = (name: string) => style.getPropertyValue(`--${name}`).trim();
  return {
    lines: [1, 2, 3, 4, 5, 6, 7, 8].map((i) => color(`line-${i}`)),
    axis: color('axis'),
    grid: color('grid'),
    hatch: color('hatch'),
    replaced: color('replaced'),
    late: color('late'),
    background: color('surface'),
    present: color('present'),
  };
}

/** A pattern of diagonal lines, which marks missing chunks. */
export function hatchOf(context: CanvasRenderingContext2D, color: string, pixelRatio: number): CanvasPattern | string {
  const size = Math.round(8 * pixelRatio);
  const tile = document.createElement('canvas');
  tile.width = size;
  tile.height = size;
  const pen = tile.getContext('2d');
  if (pen === null) return color;
  pen.strokeStyle = color;
  pen.lineWidth = 1.5 * pixelRatio;
  for (const x of [-size, 0, size]) {
    pen.moveTo(x, size);
    pen.lineTo(x + size, 0);
  }
  pen.stroke();
  return context.createPattern(tile, 'repeat') ?? color;
}
