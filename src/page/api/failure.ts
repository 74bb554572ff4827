/** What a request came to when it was refused, or when no answer came (`status` 0). The message is a sentence. */
export class ApiFailure extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}
