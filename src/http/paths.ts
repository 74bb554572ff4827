import type { FastifyInstance } from 'fastify';

/**
 * Collects the paths of all routes that are registered after it.
 * @returns which methods a path of a request has, so that a wrong method can be told from a wrong path.
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

/** The router ignores duplicate and trailing slashes, so they mean nothing here either. */
function stepsOf(path: string): string[] {
  return path.split('/').filter((step) => step !== '');
}

function matches(pattern: string[], steps: string[]): boolean {
  return pattern.length === steps.length && pattern.every((step, i) => step.startsWith(':') || step === steps[i]);
}
