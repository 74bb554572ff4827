import type { Database } from '../database/database.ts';
import type { App } from '../http/app-type.ts';
import { DataIdPath } from '../http/data-id.ts';
import { readFor } from '../http/readings.ts';
import { refusals } from '../http/schemas.ts';
import { sendPieces } from '../http/send-pieces.ts';
import { certificateAnswer } from './certificate.ts';
import type { AccountLimits } from './channel-account.ts';
import { ledgerAnswer } from './chunk-ledger.ts';
import { openLedgerRead } from './ledger-read.ts';
import type { LedgerLimits } from './limits.ts';
import { findRevision } from './revision-list-store.ts';
import { revisionAnswer, revisionsAnswer } from './revisions.ts';
import {
  CertificateAnswer,
  LedgerAnswer,
  LedgerQuery,
  RevisionAnswer,
  RevisionPath,
  RevisionQuery,
  RevisionsAnswer,
  RevisionsQuery,
} from './schemas.ts';
import { findStreamFacts } from './store.ts';

const tags = ['ledger'];

/** The routes for what a stream holds, held before, and lacks, under one prefix. Answers are streamed. */
export function ledgerRoutes(
  app: App,
  { database, limits }: { database: Database; limits: LedgerLimits & AccountLimits },
): void {
  app.get(
    '/:data_id/chunks',
    {
      schema: {
        tags,
        summary: 'List which chunks are stored and which are missing',
        params: DataIdPath('the stream'),
        querystring: LedgerQuery(limits),
        response: { 200: LedgerAnswer, ...refusals(400, 404, 422) },
      },
    },
    async (request, reply) => {
      const { channel_name: names, content_hashes = false, marks = false } = request.query;
      const read = await openLedgerRead(readFor(database, request), request.params.data_id, limits, names);
      return sendPieces(reply, ledgerAnswer(read, { withHashes: content_hashes, withMarks: marks }));
    },
  );

  app.get(
    '/:data_id/certificate',
    {
      schema: {
        tags,
        summary: 'Certify what a stream holds and lacks',
        params: DataIdPath('the stream'),
        response: { 200: CertificateAnswer, ...refusals(400, 404, 422) },
      },
    },
    async (request, reply) => {
      const read = await openLedgerRead(readFor(database, request), request.params.data_id, limits);
      return sendPieces(reply, certificateAnswer(read));
    },
  );

  app.get(
    '/:data_id/chunks/revisions',
    {
      schema: {
        tags,
        summary: 'List what chunks held before they were replaced',
        params: DataIdPath('the stream'),
        querystring: RevisionsQuery(limits),
        response: { 200: RevisionsAnswer, ...refusals(400, 404, 422) },
      },
    },
    async (request, reply) => {
      const { params, query } = request;
      const { organization } = readFor(database, request);
      const { data_id } = await findStreamFacts(organization, params.data_id);
      return sendPieces(reply, revisionsAnswer(organization, data_id, query, limits));
    },
  );

  app.get(
    '/:data_id/chunks/revisions/:revision',
    {
      schema: {
        tags,
        summary: 'Read what a chunk held before it was replaced',
        params: RevisionPath,
        querystring: RevisionQuery,
        response: { 200: RevisionAnswer, ...refusals(400, 404, 422) },
      },
    },
    async (request, reply) => {
      const { params, query } = request;
      const { organization } = readFor(database, request);
      const { data_id } = await findStreamFacts(organization, params.data_id);
      const place = { ...query, revision: Number(params.revision) };
      const revision = await findRevision(organization, data_id, place);
      return sendPieces(reply, revisionAnswer(data_id, revision));
    },
  );
}
