import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';

/**
 * Reads an answer of this process's own server by another process, so that the client's memory is not measured.
 * @returns its length, and by how many bytes this process grew at most meanwhile
 */
export async function readElsewhere(url: string, key: string): Promise<{ bytes: number; grownBytes: number }> {
  const script = `require('node:http').get(process.argv[1], { headers: { 'x-api-key': process.argv[2] } }, (answer) => {
    let bytes = 0;
    answer.on('data', (piece) => { bytes += piece.length; });
    answer.on('end', () => console.log(bytes));
  });`;
  const before = process.memoryUsage().rss;
  let peak = before;
  const watch = setInterval(() => {
    peak = Math.max(peak, process.memoryUsage().rss);
  }, 5);
  const client = spawn(process.execPath, ['-e', script, url, key], { stdio: ['ignore', 'pipe', 'inherit'] });
  const bytes = Number(await text(client.stdout));
  clearInterval(watch);
  return { bytes, grownBytes: peak - before };
}
