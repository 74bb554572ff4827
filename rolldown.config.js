import { defineConfig } from 'rolldown';

/*
 * Finding and compiling hundreds of modules is half of a start. So what serves, and the server for tests, are made of a few files
 * each, dependencies included. What an integrator starts for every run is minified too; what an operator reads in a stack trace is not.
 */
const shared = {
  platform: 'node',
  // `pino` looks for files beside its own; the command line has loaded it anyway. `pg-native` is there or not.
  external: ['pino', 'pg-native'],
};

export default defineConfig([
  {
    ...shared,
    input: { 'test-alone': 'dist/commands/test-alone.js' },
    output: { dir: 'dist/commands', entryFileNames: '[name].js', chunkFileNames: 'test-[name].js', minify: true },
  },
  {
    ...shared,
    input: { server: 'dist/process/server.js' },
    output: {
      // In its own place: depth in `dist` decides where migrations and package.json are found.
      dir: 'dist/process',
      entryFileNames: '[name].js',
      chunkFileNames: 'server-[name].js',
    },
  },
]);
