/** What a program needs to know of a test server that is ready: one line of JSON. */
export interface ReadyLine {
  url: string;
  api_key: string;
  organization_id: string;
  pid: number;
  data_dir: string;
  version: string;
  seed: string;
  /** A power cut, or the end of the server, loses what it holds. */
  durable: false;
}
