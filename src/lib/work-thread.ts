import { type Transferable, Worker } from 'node:worker_threads';
import { createRotation } from './rotation.ts';

/**
 * A worker thread that does one task at a time, for each owner in turn. It starts with the first task and ends some
 * time after the last.
 */
export interface WorkThread<Task, Result> {
  /** @throws the error that has ended the thread during the task; the tasks behind it go on in a new thread */
  run(owner: string, task: Task, transfer: Transferable[]): Promise<Result>;
  /** Ends the thread. The current task and all waiting ones fail. */
  close(): Promise<void>;
}

interface Options {
  /** The compiled module that the thread runs. It must answer each message with exactly one message. */
  file: URL;
  workerData: unknown;
  /** How long the thread stays without a task. */
  idleMs: number;
}

interface Job<Task, Result> {
  task: Task;
  transfer: Transferable[];
  resolve(result: Result): void;
  reject(error: Error): void;
}

export function createWorkThread<Task, Result>(options: Options): WorkThread<Task, Result> {
  const waiting = createRotation<Job<Task, Result>>();
  let current: Job<Task, Result> | undefined;
  let worker: Worker | undefined;
  let idle: NodeJS.Timeout | undefined;

  function start(): Worker {
    const { file, workerData } = options;
    const started = new Worker(file, { workerData });
    // Acts once for each thread. The current task fails with the error of the thread, or with one that names its exit
    // code.
    const ended = (error: Error) => {
      if (worker !== started) return;
      worker = undefined;
      const failed = current;
      current = undefined;
      failed?.reject(error);
      next();
    };
    started.on('message', (result: Result) => {
      const done = current;
      current = undefined;
      done?.resolve(result);
      next();
    });
    started.on('error', ended);
    started.on('exit', (code) => ended(new Error(`A thread has ended with ${code}.`)));
    return started;
  }

  function next(): void {
    clearTimeout(idle);
    if (current !== undefined) return;
    current = waiting.shift();
    if (current === undefined) {
      worker?.unref();
      idle = setTimeout(() => void end(), options.idleMs).unref();
      return;
    }
    worker ??= start();
    worker.ref();
    worker.postMessage(current.task, current.transfer);
  }

  async function end(): Promise<void> {
    clearTimeout(idle);
    const ending = worker;
    worker = undefined;
    await ending?.terminate();
  }

  return {
    run(owner, task, transfer) {
      return new Promise((resolve, reject) => {
        waiting.push(owner, { task, transfer, resolve, reject });
        next();
      });
    },
    async close() {
      for (let job = current ?? waiting.shift(); job !== undefined; job = waiting.shift()) {
        job.reject(new Error('The server is stopping.'));
      }
      current = undefined;
      await end();
    },
  };
}
