/** What a program needs to know about a test server that is ready: one line of JSON. */
export interface ReadyLine {
  url: string;
  api_key: string;
  organization_id: string;
  pid: number;
  data_dir: string;
  version: string;
  seed: string;
  /** Always false: a power cut, or the end of the server, loses its data. */
  durable: false;
}
