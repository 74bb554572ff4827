import type { Range } from '../plot/window.ts';

export interface SnippetTarget {
  /** Address of the server, without a slash at its end. */
  endpoint: string;
  dataId: string;
  channels: string[];
  /** Undefined: all of the run. */
  window: Range | undefined;
}

/** Programs that read the window of a run. None contains a key: each takes it from the environment. */
export function snippetsOf(target: SnippetTarget): { name: string; text: string }[] {
  return [
    { name: 'Python', text: python(target) },
    { name: 'SQL', text: sql(target) },
    { name: 'curl', text: curl(target) },
  ];
}

function python({ endpoint, dataId, channels, window }: SnippetTarget): string {
  const names = channels.map((name) => `    ("property_names", ${pythonText(name)}),\n`).join('');
  const ends =
    window === undefined
      ? ''
      : `    ("start", ${pythonText(iso(window.fromMs))}),\n    ("end", ${pythonText(iso(window.toMs))}),\n`;
  return `import json, os
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import pandas as pd

endpoint = ${pythonText(endpoint)}
query = [
${names}${ends}]
url = f"{endpoint}/tool-state/${dataId}/timeseries/?{urlencode(query)}"
answer = json.load(urlopen(Request(url, headers={"X-API-KEY": os.environ["AS_API_KEY"]})))
run = {
    name: pd.Series(one["values"], pd.to_datetime(one["unix_timestamp_ms"], unit="ms", utc=True), float, name)
    for name, one in answer["properties"].items()
}
print(pd.DataFrame({name: series.describe() for name, series in run.items()}))
`;
}

function sql({ dataId, channels, window }: SnippetTarget): string {
  const names = `array[${channels.map(sqlText).join(', ')}]`;
  const head = `-- As a reader that \`metrology-server sql-readers create\` has made.
select "time", channel_name, value, units
`;
  if (window === undefined) {
    return `${head}from points
where data_id = '${dataId}' and channel_name = any (${names})
order by "time";
`;
  }
  const [from, to] = [sqlText(iso(window.fromMs)), sqlText(iso(window.toMs))];
  return `${head}from points_between('${dataId}', ${from}, ${to}, ${names})
order by "time";
`;
}

function curl({ endpoint, dataId, channels, window }: SnippetTarget): string {
  const query = [
    ...channels.map((name) => `property_names=${name}`),
    ...(window === undefined ? [] : [`start=${iso(window.fromMs)}`, `end=${iso(window.toMs)}`]),
  ];
  const lines = query.map((pair) => ` \\\n  --data-urlencode ${shellText(pair)}`).join('');
  return `curl --get -H "X-API-KEY: $AS_API_KEY" ${shellText(`${endpoint}/tool-state/${dataId}/timeseries/`)}${lines}
`;
}

/** An instant in whole milliseconds, as the server rounds too. */
const iso = (ms: number) => new Date(ms).toISOString();
/** A JSON string is a Python string too, as JSON.stringify does not escape characters outside the BMP as surrogate pairs. */
const pythonText = (text: string) => JSON.stringify(text);
const sqlText = (text: string) => `'${text.replaceAll("'", "''")}'`;
const shellText = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`;
