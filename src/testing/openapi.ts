import Fastify from 'fastify';
import type { App } from '../http/app-type.ts';
import { collectOpenapi, openapiYaml } from '../http/openapi.ts';
import { sharedSchemas } from '../http/schemas.ts';
import { packageVersion } from '../lib/package-info.ts';
import { controlPrefix } from './hooks.ts';
import { testingLimits } from './limits.ts';
import type { TestMode } from './mode.ts';
import { controlRoutes } from './routes.ts';

const info = {
  title: 'metrology-server test',
  version: packageVersion,
  description:
    'The routes that control a server for integration tests, which exist in the mode `metrology-server test` alone. The ' +
    'routes that it tests with are in openapi.yaml.',
  license: { name: 'MIT', identifier: 'MIT' },
};

const tags = [
  { name: 'server', description: 'Organizations, and a fresh start' },
  { name: 'faults', description: 'How the server misbehaves' },
  { name: 'requests', description: 'What it has received' },
  { name: 'clock', description: 'What time it is' },
];

/** The OpenAPI document of the control routes as YAML: what `openapi.test.yaml` holds. */
export async function testOpenapiYaml(): Promise<string> {
  const app: App = Fastify({ exposeHeadRoutes: false });
  for (const schema of sharedSchemas) app.addSchema(schema);
  await collectOpenapi(app, { info, tags });
  // They are only described and never called.
  await app.register(async (room) => controlRoutes(room, {} as TestMode, { ...testingLimits }), {
    prefix: controlPrefix,
  });
  await app.ready();
  return openapiYaml(app);
}
