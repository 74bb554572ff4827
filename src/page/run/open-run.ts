import type { Outline } from '../api/readings.ts';
import type { DataEntry } from '../api/runs.ts';
import type { ChannelsEvent, LiveChannel, RunStatus, StatusEvent } from '../live/protocol.ts';
import { type Range, united } from '../plot/window.ts';
import { type ChannelFacts, factsAfter } from './channel-facts.ts';

/** What the page knows of a run that it shows, without its points. */
export interface OpenRun {
  entry: DataEntry;
  outline: Outline;
  status: RunStatus;
  channels: ChannelFacts[];
}

/** How far two spans of the same times may differ in ms, since one is rounded and the other has its ends in whole ms. */
const roundingMs = 2;

/**
 * The run after an event. Its channels stay in the order of the server, that of their names.
 * @param onChanged called for each range of a channel that has changed
 */
export function runAfter(
  run: OpenRun,
  name: string,
  event: ChannelsEvent | StatusEvent,
  onChanged: (channel: string, span: Range) => void,
): OpenRun {
  if (name === 'status') return { ...run, status: event.status };
  if (name !== 'channels') return run;
  const channels = new Map(run.channels.map((channel) => [channel.name, channel]));
  let { span } = run.outline;
  for (const update of (event as ChannelsEvent).channels) {
    const before = channels.get(update.channel_name);
    const facts = factsAfter(before, update);
    if (facts !== undefined) channels.set(facts.name, facts);
    // A chunk without a possible time may begin or end a gap between others, wherever that is drawn.
    const changed = rangeOf(update) ?? (before === undefined || facts === undefined ? undefined : span);
    if (changed === undefined) continue;
    // The span of a run is put together from two answers, which may be of two instants while it grows. The first event
    // of a connection has the exact one.
    if (facts === undefined && !isBeyond(span, changed)) continue;
    span = united(span, changed);
    onChanged(update.channel_name, changed);
  }
  const all = [...channels.values()];
  if (all.length > run.channels.length) all.sort((a, b) => (a.name < b.name ? -1 : 1));
  return { ...run, status: event.status, outline: { ...run.outline, span }, channels: all };
}

const rangeOf = ({ span }: LiveChannel): Range | undefined =>
  span === null ? undefined : { fromMs: span[0], toMs: span[1] };

const isBeyond = (span: Range | undefined, { fromMs, toMs }: Range) =>
  span === undefined || fromMs < span.fromMs - roundingMs || toMs > span.toMs + roundingMs;
