/**
 * Waits for a promise, at most `msMax` milliseconds. The promise itself goes on after that; its outcome is the caller's
 * matter.
 * @throws the error of `late` after the deadline
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
