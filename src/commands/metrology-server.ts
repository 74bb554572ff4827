#!/usr/bin/env -S node --max-semi-space-size=32 --no-memory-reducer
// The program `metrology-server`. A server for tests must be up within a second, so its command has a bundle of its own
// (rolldown.config.js): loading the modules of the other commands would take half of that second.
await (process.argv[2] === 'test' ? import('./test-alone.ts') : import('./cli.ts'));
