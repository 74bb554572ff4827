/**
 * Characters of the longest name that is compared. A longer one is hardly a typing error, and comparing takes length².
 */
const comparedLengthMax = 64;

/**
 * The known name that somebody probably meant by an unknown one: it differs in case and separators only (`maxPoints`),
 * or by a few typing errors (`raw_nam`), or contains the unknown one as a whole (`channel` in `channel_names`).
 * @returns undefined when none is close
 */
export function closestName(given: string, known: Iterable<string>): string | undefined {
  if (given.length > comparedLengthMax) return undefined;
  const wanted = plain(given);
  if (wanted === '') return undefined;
  let closest: string | undefined;
  let least = Number.POSITIVE_INFINITY;
  for (const name of known) {
    const distance = distanceBetween(wanted, plain(name));
    if (distance >= least) continue;
    least = distance;
    closest = name;
  }
  return closest;
}

const plain = (name: string) => name.toLowerCase().replace(/[^\p{L}\p{N}]/gu, '');

/** The number of typing errors. A name that is a part of the other counts as further away than any number of errors. */
function distanceBetween(wanted: string, name: string): number {
  const errorsMax = Math.floor(Math.max(wanted.length, name.length) / 4);
  const errors = typingErrors(wanted, name);
  if (errors <= errorsMax) return errors;
  const isPart = wanted.length >= partLengthMin && name.includes(wanted);
  return isPart ? comparedLengthMax + name.length : Number.POSITIVE_INFINITY;
}

const partLengthMin = 4;

/** Characters that were left out, added, changed or exchanged with their neighbour (optimal string alignment). */
function typingErrors(a: string, b: string): number {
  let before: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const isSame = a[i - 1] === b[j - 1];
      let least = Math.min(at(last, j) + 1, at(row, j - 1) + 1, at(last, j - 1) + (isSame ? 0 : 1));
      const isExchanged = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (isExchanged) least = Math.min(least, at(before, j - 2) + 1);
      row.push(least);
    }
    before = last;
    last = row;
  }
  return at(last, b.length);
}

const at = (row: number[], i: number) => row[i] as number;
