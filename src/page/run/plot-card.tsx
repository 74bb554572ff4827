import { useRef, useState } from 'preact/hooks';
import type { LedgerChannel } from '../api/ledger.ts';
import { formatCount, formatReading, plural } from '../lib/numbers.ts';
import type { Board } from '../plot/board.ts';
import type { Colors } from '../plot/colors.ts';
import { type PanelLine, type PictureSummary, PlotPanel } from '../plot/panel.tsx';
import type { Panel } from '../plot/shown.ts';
import type { Range } from '../plot/window.ts';
import type { ChannelFacts } from './channel-facts.ts';
import { ChannelMenu } from './channel-menu.tsx';
import { LedgerStrip } from './ledger-strip.tsx';
import { timesText } from './times-text.ts';

export interface PlotFrame {
  board: Board;
  width: number;
  height: number;
  rightAxes: number;
  colors: Colors;
  ticks(range: Range): number[];
}

interface PlotCardProps {
  frame: PlotFrame;
  panel: Panel;
  lines: readonly PanelLine[];
  facts: ReadonlyMap<string, ChannelFacts>;
  ledger: ReadonlyMap<string, LedgerChannel>;
  /** Names of all channels that are shown, to put one into the plot of another. */
  names: readonly string[];
  onHide(name: string): void;
  onLog(name: string): void;
  onTogether(name: string, mate: string | undefined): void;
  onLedger(name: string): void;
}

/** One plot with its texts: names, units, the newest readings in large digits, and its chunks. */
export function PlotCard(props: PlotCardProps) {
  const { frame, panel, lines, facts, ledger, onLedger } = props;
  const [summary, setSummary] = useState<PictureSummary>();
  const atCursor = useRef<(HTMLElement | null)[]>([]);
  const onDrawn = (next: PictureSummary) => setSummary((before) => (isSame(before, next) ? before : next));
  const onCursor = (values: (number | null | undefined)[]) => {
    // Written directly, without a render, as it changes with every move of the mouse.
    values.forEach((value, i) => {
      const place = atCursor.current[i];
      if (place) place.textContent = value === undefined ? '' : formatReading(value);
    });
  };
  return (
    <section class="plot-card" aria-label={`Plot of ${lines.map(({ label }) => label).join(', ')}`}>
      <div class="plot-head">
        {lines.map((line, i) => (
          <div class="plot-line" key={line.channel}>
            <span class="swatch" style={{ background: line.color }} />
            <h2 class="channel-name" dir="auto" title={line.label}>
              {line.label}
            </h2>
            <Latest facts={facts.get(line.channel)} />
            <ChannelMenu {...props} name={line.channel} isAlone={lines.length === 1} />
            <output
              class="at-cursor"
              ref={(place) => {
                atCursor.current[i] = place;
              }}
              title="at the cursor"
            />
          </div>
        ))}
        <p class="said">{summary !== undefined && wordsOf(summary)}</p>
      </div>
      <PlotPanel {...frame} lines={lines} isLog={panel.log} onDrawn={onDrawn} onCursor={onCursor} />
      {panel.channels.map((name) => {
        const one = ledger.get(name);
        if (one === undefined) return null;
        const aboutTimes = timesText(one);
        return (
          <div key={name}>
            {aboutTimes !== undefined && (
              <p class="said" role="note">
                {aboutTimes}
              </p>
            )}
            <LedgerStrip ledger={one} width={frame.width} colors={frame.colors} onOpen={() => onLedger(name)} />
          </div>
        );
      })}
    </section>
  );
}

function Latest({ facts }: { facts: ChannelFacts | undefined }) {
  if (facts === undefined) return null;
  const { value } = facts.latest;
  return (
    <span class="latest" title={`newest reading${value === null ? '' : `: ${value}`}`}>
      <b>{formatReading(facts.pointCount === 0 ? undefined : value)}</b>
      {facts.units !== null && <span class="units"> {facts.units}</span>}
    </span>
  );
}

/** What the picture alone does not tell: whether it is down-sampled, and which chunks are missing, replaced or late. */
function wordsOf(summary: PictureSummary): string {
  if (!summary.isRead) return 'reading …';
  const parts: string[] = [];
  // About as long as the text that follows it, so that the layout does not jump.
  if (!summary.isFine)
    parts.push(summary.isDownSampled === false ? 'reading this window …' : 'down-sampled: reading finer points');
  else if (summary.points === 0) parts.push('no readings in this window');
  else if (summary.isDownSampled === true) parts.push('down-sampled: every extreme shown');
  else if (summary.isDownSampled === undefined) parts.push('every extreme shown');
  else parts.push(`every reading shown (${summary.points})`);
  if (summary.missing > 0) parts.push(`▨ ${formatCount(summary.missing)} missing`);
  if (summary.replaced > 0) parts.push(`▼ ${formatCount(summary.replaced)} replaced`);
  if (summary.late > 0) parts.push(`▬ ${formatCount(summary.late)} late`);
  if (summary.belowLog > 0)
    parts.push(`${plural(summary.belowLog, 'reading')} of 0 or less have no place on a logarithmic axis`);
  return parts.join(' · ');
}

const isSame = (a: PictureSummary | undefined, b: PictureSummary) =>
  a !== undefined && (Object.keys(b) as (keyof PictureSummary)[]).every((key) => a[key] === b[key]);
