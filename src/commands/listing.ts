import { once } from 'node:events';
import type { Writable } from 'node:stream';
import { type Command, InvalidArgumentError, Option } from 'commander';

/** The columns of a list for people: for each heading the function that reads its value from a row. */
export type Columns<Row> = Record<string, (row: Row) => unknown>;

/** The output of a command, for people or as JSON. */
export interface Listing {
  /**
   * Prints rows as they arrive, one a line: as fields separated by tabs below a line of headings, or as JSON. It ends
   * early when the reader has closed the output (`| head`).
   */
  list<Row extends object>(pages: AsyncIterable<readonly Row[]>, columns: Columns<Row>, isJson: boolean): Promise<void>;
  /** Prints one result: as a line of JSON, or as the sentence. */
  tell(thing: object, sentence: string, isJson: boolean): void;
  say(sentence: string): void;
}

export function createListing(stream: Writable): Listing {
  /** @returns false when the reader has closed the output */
  async function write(text: string): Promise<boolean> {
    if (!stream.writable) return false;
    if (!stream.write(text)) {
      await Promise.race([once(stream, 'drain'), once(stream, 'close')]).catch(() => {});
    }
    return stream.writable;
  }
  return {
    async list(pages, columns, isJson) {
      if (!isJson && !(await write(`${Object.keys(columns).join('\t')}\n`))) return;
      for await (const page of pages) {
        const lines = page.map((row) => (isJson ? jsonLine(row) : fieldsOf(row, columns)));
        if (lines.length > 0 && !(await write(`${lines.join('\n')}\n`))) return;
      }
    },
    tell(thing, sentence, isJson) {
      stream.write(`${isJson ? jsonLine(thing) : printable(sentence)}\n`);
    },
    say(sentence) {
      stream.write(`${printable(sentence)}\n`);
    },
  };
}

/** Characters that a terminal may interpret as commands. Names come from clients, so they may contain such. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: it is meant to match control characters.
const controls = /[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g;

const printable = (text: string) => text.replace(controls, '\ufffd');

function jsonLine(thing: object): string {
  const escaped = (one: string) => `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`;
  return JSON.stringify(thing).replace(controls, escaped);
}

function fieldsOf<Row>(row: Row, columns: Columns<Row>): string {
  const fields = Object.values(columns).map((read) => {
    const value = read(row);
    if (value === null || value === undefined || value === '') return '-';
    return printable(Array.isArray(value) ? value.join(',') : String(value));
  });
  return fields.join('\t');
}

/** The option `--json`, the same for every command. */
export const jsonOption = () => new Option('--json', 'print JSON, one object a line').default(false);

export const jsonHelp =
  '\nWith --json each line is one JSON object, whose fields are named as in the answers of the API.';

/** Reads a `--limit`. */
export function atLeastOne(text: string): number {
  const number = Number(text);
  if (/^\d{1,15}$/.test(text) && number >= 1) return number;
  throw new InvalidArgumentError('It must be a whole number of at least 1.');
}

/** Reads a whole number, such as the number of a key. */
export function wholeNumber(text: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('It is a whole number.');
}

export const uuidPattern = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** Reads an argument that is an id (UUID). @returns it in lower case */
export function uuid(text: string): string {
  if (uuidPattern.test(text)) return text.toLowerCase();
  throw new InvalidArgumentError('It is an id such as 3f2b8c1e-0000-4000-8000-000000000001.');
}

/** Adds a description and the help on `--json` to a command with subcommands. */
export const described = (command: Command, description: string): Command =>
  command.description(description).addHelpText('after', jsonHelp);
