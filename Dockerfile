# metrology-server beside a PostgreSQL of its own (DATABASE_URL): the embedded one is not in the image.
ARG NODE_IMAGE=docker.io/library/node:24-bookworm-slim

FROM ${NODE_IMAGE} AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts
COPY tsconfig.json tsconfig.build.json tsconfig.testing.json rolldown.config.js build-commit.js ./
COPY src src
# Git is not in here: docker build --build-arg BUILD_COMMIT="$(git rev-parse HEAD)" .
ARG BUILD_COMMIT=
RUN BUILD_COMMIT="$BUILD_COMMIT" npm run build && find dist -name '*.map' -delete

FROM ${NODE_IMAGE} AS dependencies
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev --omit=optional --ignore-scripts

FROM ${NODE_IMAGE}
WORKDIR /app
COPY --from=dependencies /app/node_modules node_modules
COPY --from=build /app/dist dist
COPY package.json openapi.yaml LICENSE ./
COPY migrations migrations
# DATA_DIR holds the first key where BOOTSTRAP_API_KEY is not set, and nothing else.
ENV NODE_ENV=production HOST=0.0.0.0 PORT=8000 DATA_DIR=/tmp/metrology-server
USER node
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:' + process.env.PORT + '/healthz').then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "--max-semi-space-size=32", "--no-memory-reducer", "dist/commands/cli.js"]
CMD ["serve"]
