import { againstCeiling } from './against-ceiling.ts';
import { againstInfluxdb } from './against-influxdb.ts';
import { againstStraightforward } from './against-straightforward.ts';
import { againstVictoriaMetrics } from './against-victoria-metrics.ts';
import { downSampling } from './down-sampling.ts';
import { exportRow } from './export.ts';
import { followers } from './followers.ts';
import { largerChunks } from './larger-chunks.ts';
import { ledger } from './ledger.ts';
import { mixAgainstInfluxdb, mixAgainstVictoriaMetrics } from './mix-against-others.ts';
import { mixBytes } from './mix-bytes.ts';
import { mixProcessor } from './mix-processor.ts';
import { multiChunks } from './multi-chunks.ts';
import { mixRead, read } from './read.ts';
import { replay } from './replay.ts';
import { soakBackup } from './soak-backup.ts';
import { mixLatency, soakLatency } from './soak-latency.ts';
import { soakMemory } from './soak-memory.ts';
import { soakStoredPoints } from './soak-stored-points.ts';
import { storedBytes } from './stored-bytes.ts';
import type { Row } from './support/row.ts';

/** All questions, in the order of the table. */
export const rows: readonly Row[] = [
  againstStraightforward,
  againstCeiling,
  againstVictoriaMetrics,
  againstInfluxdb,
  multiChunks,
  largerChunks,
  replay,
  read,
  downSampling,
  ledger,
  exportRow,
  followers,
  storedBytes,
  mixBytes,
  mixProcessor,
  mixAgainstVictoriaMetrics,
  mixAgainstInfluxdb,
  mixRead,
  soakStoredPoints,
  soakLatency,
  mixLatency,
  soakMemory,
  soakBackup,
];
