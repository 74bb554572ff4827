import type { TestProject } from 'vitest/node';
import { buildServer } from '../../support/built-server.ts';

declare module 'vitest' {
  interface ProvidedContext {
    builtFolder: string;
  }
}

/** Builds the server into a folder of its own. @returns what removes it */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const built = await buildServer();
  project.provide('builtFolder', built.folder);
  return built.remove;
}
