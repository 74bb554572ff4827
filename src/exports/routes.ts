import { create as contentDisposition } from 'content-disposition';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { SearchOptions } from '../catalogue/data-entries/service.ts';
import { type CatalogueLimits, catalogueLimits } from '../catalogue/limits.ts';
import type { Database } from '../database/database.ts';
import type { App } from '../http/app-type.ts';
import { DataIdPath } from '../http/data-id.ts';
import { httpLimits } from '../http/limits.ts';
import { publicUrlOf, requirePublicUrl } from '../http/public-url.ts';
import { readFor, writeWithin } from '../http/readings.ts';
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
  /** Seconds without a chunk after which the search calls a stream interrupted. */
  idleSeconds: number;
  /** The address at which clients reach the server; undefined if it is to be taken from the request. */
  publicUrl: string | undefined;
  /** Seconds after finalize during which late chunks are accepted. */
  graceSeconds: number;
  /** Keeps the files of exports that do not change any more. Without it every file is made anew. */
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
 * The routes for files of one and of several streams, for their metadata, and the official addresses by which the SDK
 * downloads a stream. Files are streamed. An error before the first byte is a normal error response; an error after it
 * destroys the socket.
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

/** The route that `Client.download` asks for the address of a file. It saves that file under the name in the answer. */
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
      // A person will open this file, quite possibly in a spreadsheet.
      const query = `format=csv&layout=${layout}&escape_formulas=true`;
      return {
        url: `${requirePublicUrl(request, deps.publicUrl)}/exports/${request.params.data_id}?${query}`,
        file_name: fileNameOf(exported, 'csv'),
        file_format: 'csv' as const,
      };
    },
  );
}

/** Sends a file piece by piece, as fast as the client reads. When the client goes away, reading ends. */
async function sendExport(
  deps: RouteDependencies,
  request: FastifyRequest<{ Querystring: { format?: Format; escape_formulas?: boolean; bom?: boolean } }>,
  reply: FastifyReply,
  exported: Export,
): Promise<FastifyReply> {
  const { format = 'csv', escape_formulas: escapeFormulas = false, bom = false } = request.query;
  const form = { escapeFormulas, bom };
  // The query as it was sent, because it may contain question marks.
  const query = request.url.includes('?') ? request.url.slice(request.url.indexOf('?')) : '';
  const [stream] = exported.streams;
  const path = exported.isSelection || stream === undefined ? '/exports' : `/exports/${stream.data_id}`;
  // Without a Host header (HTTP/1.0) the address is relative, as a link may be.
  const metadataUrl = `${publicUrlOf(request, deps.publicUrl) ?? ''}${path}/metadata${query}`;
  const isHead = request.method === 'HEAD';
  const begin = async (what: Export, reading: Omit<ReadDependencies, 'limits'>, written: Format = format) => {
    const read = { ...reading, limits: deps.points };
    if (format === 'xlsx') requireFitsSheet(await countExportedRows(read, what, deps.limits.sheetRowsMax), deps.limits);
    return begun(fileOf(deps.limits, read, what, written, form));
  };
  // The first piece is made before the headers are set, so that an early error is a normal error response and no file.
  const kept = await openKept(deps, request, exported, begin, { format, ...form });
  if (!isHead) {
    await noteExport(writeWithin(deps.database, request), exported, format, (error, what) =>
      request.log.warn({ err: error, ...what }, 'an export is not in the audit log'),
    );
  }
  // A HEAD has no body, but shows the error that a GET would begin with. CSV is used for that, as the form that starts
  // fastest.
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
 * Opens the kept file of an export. The file is made for all requests that want it, so making it does not end when the
 * first of them is cancelled.
 * @returns undefined when the export is not kept as a file
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
    const forAll = { organization: database.readingAs(request.identity.organizationId), reading: place.reading };
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

/** Reads the first piece, so that an early error is thrown here. */
async function begun(pieces: Pieces): Promise<Pieces> {
  const first = await pieces.next();
  return continued(first, pieces);
}

async function* continued(first: IteratorResult<Buffer, void>, rest: Pieces): Pieces {
  // Closes the generator behind it too, however this one ends.
  try {
    if (!first.done) yield first.value;
    yield* rest;
  } finally {
    await rest.return();
  }
}
