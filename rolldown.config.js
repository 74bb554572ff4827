import { defineConfig } from 'rolldown';

/*
 * A server for tests is to be there at once, and finding and compiling hundreds of modules is a good part of its start. So its
 * part of `dist` is made of a few files, dependencies included. What production runs stays as the compiler wrote it.
 */
export default defineConfig({
  input: { 'test-alone': 'dist/commands/test-alone.js' },
  platform: 'node',
  // `pino` looks for files beside its own; the command line has loaded it anyway. `pg-native` is there or not.
  external: ['pino', 'pg-native'],
  output: {
    dir: 'dist/commands',
    // Depth in `dist` decides where migrations and package.json are found, so all lie where the input did.
    entryFileNames: '[name].js',
    chunkFileNames: 'test-[name].js',
    minify: true,
  },
});
