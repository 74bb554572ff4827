import { spawn } from 'node:child_process';

export interface RunOptions {
  readonly msMax: number;
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
}

/**
 * Runs a program and returns its standard output.
 * Throws, with everything that the program said, when it ends with another code than 0 or takes longer than `msMax`.
 */
export function runToEnd(command: string, args: readonly string[], options: RunOptions): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd: options.cwd,
      env: options.env ?? process.env,
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: options.msMax,
      killSignal: 'SIGKILL',
    });
    const said: string[] = [];
    const answered: string[] = [];
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      said.push(text);
      answered.push(text);
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => said.push(text));
    child.on('error', reject);
    child.on('close', (code, signal) => {
      if (code === 0) resolve(answered.join(''));
      else reject(new Error(`${command} ${args.join(' ')} ended with ${signal ?? code}:\n${said.join('').trim()}`));
    });
  });
}
