import type { FastifyInstance } from 'fastify';

/**
 * Collects the paths of all routes that are registered after this call.
 * @returns a function from a request's path to its methods, so that a wrong method (405) differs from a wrong path (404)
 */
export function collectPaths(app: FastifyInstance): (path: string) => string[] {
  const routes: { method: string; steps: string[] }[] = [];
  app.addHook('onRoute', ({ method, url }) => {
    for (const one of [method].flat()) routes.push({ method: one, steps: stepsOf(url) });
  });
  return (path) => {
    const steps = stepsOf(path);
    const methods = routes.filter((route) => matches(route.steps, steps)).map((route) => route.method);
    return [...new Set(methods)].sort();
  };
}

/** The router ignores duplicate and trailing slashes, so they are ignored here too. */
function stepsOf(path: string): string[] {
  return path.split('/').filter((step) => step !== '');
}

function matches(pattern: string[], steps: string[]): boolean {
  return pattern.length === steps.length && pattern.every((step, i) => step.startsWith(':') || step === steps[i]);
}
