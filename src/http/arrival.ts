/** When the first byte of a request arrived, in milliseconds of `performance.now()`. */
export const arrivalOf = (reply: { elapsedTime: number }): number => performance.now() - reply.elapsedTime;
