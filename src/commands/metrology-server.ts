#!/usr/bin/env -S node --max-semi-space-size=32 --no-memory-reducer
// What `metrology-server` runs. A server for tests is to be there within a second, so its command stands by itself in a bundle
// (rolldown.config.js): loading what the other commands need would take half of that.
await (process.argv[2] === 'test' ? import('./test-alone.ts') : import('./cli.ts'));
