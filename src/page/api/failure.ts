/** A request was refused, or no answer came (`status` 0). The message is a sentence for the user. */
export class ApiFailure extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}
