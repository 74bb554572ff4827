/** Name of the shared worker's file beside the page's script, set by the build. */
declare const WORKER_FILE: string;

/** Made by the build from the record of the demo. Each number is the difference from the one before it. */
declare module 'demo-record' {
  export const hours: number[];
  /** Readings of each channel in tenths. */
  export const tenths: Record<string, number[]>;
}

declare module '*.css';
