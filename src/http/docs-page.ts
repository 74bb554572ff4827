import { packageVersion } from '../lib/package-info.ts';
import type { App } from './app-type.ts';
import { sendServedFile, servedFiles } from './served-files.ts';

/** Copied from swagger-ui-dist by the build; from `src` and from `dist` this is the same folder. */
const assets = new URL('../../dist/assets/swagger-ui/', import.meta.url);

/**
 * Everything comes from here, and the page can talk to nobody else. Swagger UI needs `data:` for the icons in its style
 * sheet, and lays its elements out with style attributes, which run nothing.
 */
const contentSecurityPolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "style-src-attr 'unsafe-inline'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

const headers = {
  'content-security-policy': contentSecurityPolicy,
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cache-control': 'no-cache',
};

/**
 * `/docs`: the OpenAPI document to read and to try out in a browser, without a key. Its links are relative, so that it
 * works below the prefix of a proxy too.
 * @param folder where the files of Swagger UI are
 */
export function docsPageRoutes(app: App, folder: URL = assets): void {
  const options = { config: { open: true }, schema: { hide: true } };
  app.get('/docs', options, async (request, reply) => {
    // The router takes /docs and /docs/ alike; a browser resolves relative links of the two differently.
    const path = request.url.split('?')[0] as string;
    return reply
      .headers(headers)
      .type('text/html; charset=utf-8')
      .send(page(path.endsWith('/') ? './' : './docs/'));
  });
  app.get('/docs/page.js', options, async (_request, reply) =>
    reply.headers(headers).type('text/javascript; charset=utf-8').send(pageScript),
  );
  app.get('/docs/page.css', options, async (_request, reply) =>
    reply.headers(headers).type('text/css; charset=utf-8').send(pageStyle),
  );
  const find = servedFiles(folder);
  for (const name of ['swagger-ui-bundle.js', 'swagger-ui.css']) {
    app.get(`/docs/${name}`, options, async (request, reply) =>
      sendServedFile(request, reply, await find(name), headers),
    );
  }
}

const page = (folder: string) => `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>metrology-server ${packageVersion}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="${folder}swagger-ui.css">
<link rel="stylesheet" href="${folder}page.css">
</head>
<body>
<noscript>This page needs JavaScript. The document itself: <a href="${folder}../openapi.yaml">openapi.yaml</a></noscript>
<div id="page"></div>
<script src="${folder}swagger-ui-bundle.js"></script>
<script src="${folder}page.js"></script>
</body>
</html>
`;

/**
 * Requests go to where the page came from: the document names the default address, where perhaps nobody listens. And a
 * query starts empty: Swagger UI would send the examples of its parameters.
 */
const pageScript = `const here = new URL('../', document.currentScript.src);
const withoutExample = ({ example, ...parameter }) => {
  if (example === undefined) return parameter;
  return { ...parameter, description: parameter.description + ', such as ' + example };
};
const forThisServer = (openapi) => {
  for (const operations of Object.values(openapi.paths ?? {})) {
    for (const operation of Object.values(operations)) {
      if (operation.parameters) operation.parameters = operation.parameters.map(withoutExample);
    }
  }
  return { ...openapi, servers: [{ url: here.href.replace(/\\/$/, ''), description: 'this server' }] };
};
const plugin = () => ({
  statePlugins: {
    spec: { wrapActions: { updateJsonSpec: (update) => (openapi) => update(forThisServer(openapi)) } },
  },
});
SwaggerUIBundle({
  url: new URL('openapi.yaml', here).href,
  dom_id: '#page',
  deepLinking: true,
  filter: true,
  tryItOutEnabled: true,
  displayRequestDuration: true,
  defaultModelsExpandDepth: -1,
  validatorUrl: null,
  plugins: [plugin],
});
`;

const pageStyle = `body { margin: 0; }
.swagger-ui .info { margin: 30px 0; }
.swagger-ui .auth-container input { width: 100%; max-width: none; }
`;
