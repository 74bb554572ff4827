/** A request was refused, or no answer came (`status` 0). The message is a sentence for the user. */
export class ApiFailure extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }

  /** Whether the server is away or overloaded. A refusal (other 4xx) would be the same again. */
  get isPassing(): boolean {
    return this.status === 0 || this.status >= 500 || this.status === 429;
  }
}

/** After this time a read is repeated that failed because the server is away or overloaded. */
export const repeatMs = 2_000;

export const isPassing = (error: unknown): boolean => error instanceof ApiFailure && error.isPassing;
