import { create as contentDisposition } from 'content-disposition';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { SearchOptions } from '../catalogue/data-entries/service.ts';
import { type CatalogueLimits, catalogueLimits } from '../catalogue/limits.ts';
import type { Database } from '../database/database.ts';
import type { App } from '../http/app-type.ts';
import { DataIdPath } from '../http/data-id.ts';
import { httpLimits } from '../http/limits.ts';
import { publicUrlOf, requirePublicUrl } from '../http/public-url.ts';
import { readFor } from '../http/readings.ts';
import { refusals } from '../http/schemas.ts';
import { sendFile } from '../http/send-file.ts';
import { inTurns, sendPieces } from '../http/send-pieces.ts';
import type { Pieces } from '../lib/json-writer.ts';
import type { PlausibleTimes } from '../lib/time-unit.ts';
import { type PointLimits, pointLimits } from '../points/limits.ts';
import type { ReadDependencies } from '../points/read.ts';
import type { ExportCache, KeptFile } from './cache.ts';
import { countExportedRows } from './count-rows.ts';
import { type CsvForm, longCsv, wideCsv } from './csv.ts';
import { type Export, metadataOf } from './export.ts';
import { fileNameOf } from './file-name.ts';
import { readGrid } from './grid-reading.ts';
import { findUnchanging } from './kept.ts';
import { type ExportLimits, exportLimits } from './limits.ts';
import { readLong } from './long.ts';
import { longParquet, wideGroupRows, wideParquet } from './parquet.ts';
import {
  ContentQuery,
  Download,
  DownloadQuery,
  ExportFile,
  ExportMetadata,
  ExportPart,
  ExportQuery,
  type Format,
  type Layout,
  NotModified,
  SelectionContentQuery,
  SelectionQuery,
} from './schemas.ts';
import { noteExport, openSelectionExport, openStreamExport } from './service.ts';
import { readWide } from './wide.ts';
import { longXlsx, requireFitsSheet, wideXlsx } from './xlsx.ts';

export interface ExportDependencies {
  database: Database;
  /** After how long without a chunk the search calls a stream interrupted. */
  idleSeconds: number;
  /** Under which clients reach the server; undefined when it is taken from the request. */
  publicUrl: string | undefined;
  /** How long after finalize late chunks are still accepted. */
  graceSeconds: number;
  /** Where exports that do not change any more are kept; without it every one is made anew. */
  cache?: ExportCache | undefined;
  /** The server's time, in milliseconds of Unix time. */
  now(): number;
  limits?:
    | {
        http?: Partial<PlausibleTimes> | undefined;
        points?: Partial<PointLimits> | undefined;
        exports?: Partial<ExportLimits> | undefined;
        catalogue?: Partial<CatalogueLimits> | undefined;
      }
    | undefined;
}

interface RouteDependencies
  extends Pick<ExportDependencies, 'database' | 'publicUrl' | 'graceSeconds' | 'cache' | 'now'> {
  limits: ExportLimits;
  plausible: PlausibleTimes;
  points: PointLimits;
  search: CatalogueLimits & SearchOptions;
}

const tags = ['exports'];
const contentTypes: Record<Format, string> = {
  csv: 'text/csv; charset=utf-8; header=present',
  parquet: 'application/vnd.apache.parquet',
  xlsx: 'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet',
};

/**
 * Files of one stream and of several, what describes them, and the official addresses by which the SDK downloads one.
 * Files are streamed: an error before the first byte is answered like any other, one after it destroys the socket.
 */
export function exportRoutes(app: App, dependencies: ExportDependencies): void {
  const { limits: given, idleSeconds, ...rest } = dependencies;
  const deps: RouteDependencies = {
    ...rest,
    limits: { ...exportLimits, ...given?.exports },
    plausible: { ...httpLimits, ...given?.http },
    points: { ...pointLimits, ...given?.points },
    search: { ...catalogueLimits, ...given?.catalogue, idleSeconds },
  };
  streamRoutes(app, deps);
  selectionRoutes(app, deps);
  downloadRoute(app, deps, 'raw_data', 'long');
  downloadRoute(app, deps, 'processed_data', 'wide');
}

function streamRoutes(app: App, deps: RouteDependencies): void {
  app.get(
    '/exports/:data_id/',
    {
      schema: {
        summary: 'Export a stream as CSV, Parquet or XLSX',
        tags,
        params: DataIdPath('the stream'),
        querystring: ExportQuery,
        response: { 200: ExportFile, 206: ExportPart, 304: NotModified, ...refusals(400, 404, 416, 422) },
      },
    },
    async (request, reply) => {
      const { organization } = readFor(deps.database, request);
      const exported = await openStreamExport(organization, request.params.data_id, request.query, deps);
      return sendExport(deps, request, reply, exported);
    },
  );

  app.get(
    '/exports/:data_id/metadata/',
    {
      schema: {
        summary: 'What an export of a stream holds and where its data come from',
        tags,
        params: DataIdPath('the stream'),
        querystring: ContentQuery,
        response: { 200: ExportMetadata, ...refusals(400, 404, 422) },
      },
    },
    async (request) => {
      const { organization } = readFor(deps.database, request);
      return metadataOf(await openStreamExport(organization, request.params.data_id, request.query, deps));
    },
  );
}

function selectionRoutes(app: App, deps: RouteDependencies): void {
  app.get(
    '/exports/',
    {
      schema: {
        summary: 'Export several streams into one file, by their ids or by the filters of the search',
        tags,
        querystring: SelectionQuery(deps.search),
        response: { 200: ExportFile, 206: ExportPart, 304: NotModified, ...refusals(400, 404, 416, 422) },
      },
    },
    async (request, reply) => {
      const { userId } = request.identity;
      const { organization } = readFor(deps.database, request);
      const exported = await openSelectionExport(organization, userId, request.query, deps);
      return sendExport(deps, request, reply, exported);
    },
  );

  app.get(
    '/exports/metadata/',
    {
      schema: {
        summary: 'What an export of several streams holds and where its data come from',
        tags,
        querystring: SelectionContentQuery(deps.search),
        response: { 200: ExportMetadata, ...refusals(404, 422) },
      },
    },
    async (request) => {
      const { userId } = request.identity;
      const { organization } = readFor(deps.database, request);
      return metadataOf(await openSelectionExport(organization, userId, request.query, deps));
    },
  );
}

/** Where `Client.download` asks for the address of a file; it saves what it finds there under the name that is answered. */
function downloadRoute(app: App, deps: RouteDependencies, kind: 'raw_data' | 'processed_data', layout: Layout): void {
  app.get(
    `/data_entries/${kind}/:data_id`,
    {
      schema: {
        summary: `Where to download a stream as CSV in the ${layout} layout`,
        tags,
        params: DataIdPath('the stream'),
        querystring: DownloadQuery,
        response: { 200: Download, ...refusals(400, 404, 422) },
      },
    },
    async (request) => {
      const { organization } = readFor(deps.database, request);
      const exported = await openStreamExport(organization, request.params.data_id, { layout }, deps);
      // A person opens this file, as likely in a spreadsheet as anywhere.
      const query = `format=csv&layout=${layout}&escape_formulas=true`;
      return {
        url: `${requirePublicUrl(request, deps.publicUrl)}/exports/${request.params.data_id}?${query}`,
        file_name: fileNameOf(exported, 'csv'),
        file_format: 'csv' as const,
      };
    },
  );
}

/** Sends a file piece by piece, as fast as the client reads; when the client goes away the reading ends. */
async function sendExport(
  deps: RouteDependencies,
  request: FastifyRequest<{ Querystring: { format?: Format; escape_formulas?: boolean; bom?: boolean } }>,
  reply: FastifyReply,
  exported: Export,
): Promise<FastifyReply> {
  const { format = 'csv', escape_formulas: escapeFormulas = false, bom = false } = request.query;
  const form = { escapeFormulas, bom };
  // As it came: the query may hold question marks of its own.
  const query = request.url.includes('?') ? request.url.slice(request.url.indexOf('?')) : '';
  const [stream] = exported.streams;
  const path = exported.isSelection || stream === undefined ? '/exports' : `/exports/${stream.data_id}`;
  // Without a host (HTTP/1.0) it is relative, which a link may be.
  const metadataUrl = `${publicUrlOf(request, deps.publicUrl) ?? ''}${path}/metadata${query}`;
  const isHead = request.method === 'HEAD';
  const begin = async (what: Export, reading: Omit<ReadDependencies, 'limits'>, written: Format = format) => {
    const read = { ...reading, limits: deps.points };
    if (format === 'xlsx') requireFitsSheet(await countExportedRows(read, what, deps.limits.sheetRowsMax), deps.limits);
    return begun(fileOf(deps.limits, read, what, written, form));
  };
  // Whatever goes wrong at the very beginning is answered before a header says that this is a file.
  const kept = await openKept(deps, request, exported, begin, { format, ...form });
  if (!isHead) {
    await noteExport(readFor(deps.database, request).organization, exported, format, (error, what) =>
      request.log.warn({ err: error, ...what }, 'an export is not in the audit log'),
    );
  }
  // Nobody gets the body of a HEAD: the form that begins soonest shows what is wrong at the beginning of any.
  const pieces = kept ?? (await begin(exported, readFor(deps.database, request), isHead ? 'csv' : format));
  reply
    .type(contentTypes[format])
    .header('content-disposition', contentDisposition(fileNameOf(exported, format)))
    .header('link', `<${metadataUrl}>; rel="describedby"; type="application/json"`);
  if ('file' in pieces) return sendFile(request, reply, pieces.file, pieces.key);
  if (isHead) await pieces.return();
  return sendPieces(reply, pieces, contentTypes[format]);
}

/**
 * A file that is kept is made for all that ask for it, so that it does not end with whose request is the first.
 * @returns undefined when the file is none that is kept
 */
async function openKept(
  { cache, graceSeconds, database }: RouteDependencies,
  request: FastifyRequest,
  exported: Export,
  begin: (exported: Export, read: Omit<ReadDependencies, 'limits'>) => Promise<Pieces>,
  form: object,
): Promise<{ file: KeptFile; key: string } | undefined> {
  if (cache === undefined) return undefined;
  const { organization } = readFor(database, request);
  const unchanging = await findUnchanging(organization, exported, form, graceSeconds);
  if (unchanging === undefined) return undefined;
  const { key } = unchanging;
  const file = await cache.open(key, async () => {
    const place = request.place.apart();
    const forAll = { organization: database.as(request.identity.organizationId), reading: place.reading };
    return inTurns(await begin(unchanging.exported, forAll), place);
  });
  return file && { file, key };
}

function fileOf(limits: ExportLimits, read: ReadDependencies, exported: Export, format: Format, form: CsvForm): Pieces {
  const { rest } = read.reading;
  if (exported.layout === 'long') {
    const chunks = readLong(read, exported);
    if (format === 'xlsx') return longXlsx(exported, chunks, rest);
    return format === 'csv' ? longCsv(exported, chunks, form) : longParquet(exported, chunks, limits, rest);
  }
  const rowsMax = format === 'parquet' ? wideGroupRows(exported.columns.length, limits) : limits.csvRowsMax;
  const { grid } = exported;
  const rows = grid ? readGrid(read, exported, grid, rowsMax) : readWide(read, exported, rowsMax);
  if (format === 'xlsx') return wideXlsx(exported, rows, rest);
  return format === 'csv' ? wideCsv(exported, rows, form) : wideParquet(exported, rows, rest);
}

/** With its first piece read already. */
async function begun(pieces: Pieces): Promise<Pieces> {
  const first = await pieces.next();
  return continued(first, pieces);
}

async function* continued(first: IteratorResult<Buffer, void>, rest: Pieces): Pieces {
  // The rest ends with this one, however it ends.
  try {
    if (!first.done) yield first.value;
    yield* rest;
  } finally {
    await rest.return();
  }
}
