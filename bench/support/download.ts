import { get } from 'node:http';
import type { Target } from './target.ts';

/** Reads an answer as fast as it comes, without parsing it. @returns the ms to its last byte */
export async function download(
  target: Pick<Target, 'url' | 'key'>,
  path: string,
  onPiece: (piece: Buffer) => void,
): Promise<number> {
  const startedAt = performance.now();
  await new Promise<void>((resolve, reject) => {
    const url = target.url + path;
    get(url, { headers: { 'X-API-KEY': target.key }, agent: false }, (response) => {
      if (response.statusCode !== 200) reject(new Error(`${url} was answered ${response.statusCode}`));
      response.on('data', onPiece);
      response.on('end', resolve);
      response.on('error', reject);
    }).on('error', reject);
  });
  return performance.now() - startedAt;
}
