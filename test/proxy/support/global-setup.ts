import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { buildServer } from '../../support/built-server.ts';
import { type Certificates, makeCertificates } from './certificates.ts';
import { installPackages } from './packages.ts';

declare module 'vitest' {
  interface ProvidedContext {
    builtFolder: string;
    certificates: Certificates;
  }
}

/** Installs the proxies, builds the server, makes the certificates. @returns what removes them */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  await installPackages();
  const folder = await mkdtemp(join(tmpdir(), 'metrology-proxy-'));
  const built = await buildServer();
  project.provide('builtFolder', built.folder);
  project.provide('certificates', await makeCertificates(folder));
  return async () => {
    await built.remove();
    await rm(folder, { recursive: true, force: true });
  };
}
