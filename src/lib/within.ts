/**
 * What a promise gives, if it does so in time.
 * @throws what `late` makes after so many milliseconds; what becomes of the promise then is up to the caller
 */
export async function within<Result>(promise: Promise<Result>, msMax: number, late: () => Error): Promise<Result> {
  let timer: NodeJS.Timeout | undefined;
  const tooLate = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(late()), msMax);
  });
  try {
    return await Promise.race([promise, tooLate]);
  } finally {
    clearTimeout(timer);
  }
}
