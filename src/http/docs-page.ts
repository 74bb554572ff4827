import { packageVersion } from '../lib/package-info.ts';
import type { App } from './app-type.ts';
import { sendServedFile, servedFiles } from './served-files.ts';

/** The build copies swagger-ui-dist to there. The path leads to the same folder from `src` and from `dist`. */
const assets = new URL('../../dist/assets/swagger-ui/', import.meta.url);

/**
 * The page loads everything from this server, and can send requests to no other. Swagger UI needs `data:` for the icons
 * in its style sheet. It also lays out its elements with style attributes, which cannot run code.
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
 * `/docs`: a page to read and try out the OpenAPI document in a browser. It needs no key. Its links are relative, so
 * that it also works below the prefix of a proxy.
 * @param folder where the files of Swagger UI are
 */
export function docsPageRoutes(app: App, folder: URL = assets): void {
  const options = { config: { open: true }, schema: { hide: true } };
  app.get('/docs', options, async (request, reply) => {
    // The router treats /docs and /docs/ alike, but a browser resolves relative links of the two differently.
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
 * The script changes the document in two ways. Requests go to the server that the page came from, since the document
 * names the default address, where perhaps nobody listens. And parameters have no examples, since Swagger UI would send
 * those.
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
