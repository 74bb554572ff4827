import { readFileSync } from 'node:fs';

/** The parts of a dashboard of Grafana that hold queries. */
interface Dashboard {
  templating: { list: Variable[] };
  panels: { title: string; targets?: { datasource: { uid: string }; expr?: string; rawSql?: string }[] }[];
}

interface Variable {
  name: string;
  type: string;
  datasource?: { uid: string };
  query: string | { query: string };
}

export interface DashboardQuery {
  /** Of the panel or variable. */
  title: string;
  datasource: string;
  text: string;
}

const dashboard: Dashboard = JSON.parse(readFileSync('deploy/monitoring/grafana-dashboard.json', 'utf8'));
export const variables = dashboard.templating.list;

const ofVariables = variables
  .filter(({ type }) => type === 'query')
  .map(({ name, datasource, query }) => ({
    title: `variable ${name}`,
    datasource: datasource?.uid as string,
    text: typeof query === 'string' ? query : query.query,
  }));
const ofPanels = dashboard.panels.flatMap(({ title, targets = [] }) =>
  targets.map(({ datasource, expr, rawSql }) => ({
    title,
    datasource: datasource.uid,
    text: (expr ?? rawSql) as string,
  })),
);

/** Every query of the dashboard, with Grafana's macros and variables in it. */
export const queries: DashboardQuery[] = [...ofVariables, ...ofPanels];

/** Text as a literal of SQL; several with commas between them, as Grafana's format `sqlstring` does. */
const sqlString = (value: string | string[]) =>
  [value]
    .flat()
    .map((one) => `'${one.replaceAll("'", "''")}'`)
    .join(',');

/** What Grafana sends to PostgreSQL, for a window in ISO 8601 and an interval of ten seconds. */
export function substitutedSql(
  text: string,
  values: Record<string, string | string[]>,
  { from, to }: { from: string; to: string },
): string {
  const group = (column: string, seconds: number) =>
    `floor(extract(epoch from ${column})/${seconds})*${seconds} AS "time"`;
  return text
    .replaceAll(/\$\{(\w+):sqlstring\}/g, (whole, name) => (name in values ? sqlString(values[name] ?? '') : whole))
    .replaceAll(/\$__timeGroupAlias\(([^,]+), \$__interval\)/g, (_, column) => group(column, 10))
    .replaceAll(/\$__timeGroupAlias\(([^,]+), '1d'\)/g, (_, column) => group(column, 86_400))
    .replaceAll(/\$__timeFilter\((\w+)\)/g, `$1 BETWEEN '${from}' AND '${to}'`)
    .replaceAll('$__timeFrom()', `'${from}'`)
    .replaceAll('$__timeTo()', `'${to}'`);
}

/** What Grafana sends to Prometheus where all servers are shown. A variable is looked up by its metric. */
export const substitutedPromql = (text: string, rateInterval: string) =>
  text
    .replace(/^label_values\((\w+), (\w+)\)$/, 'count by ($2) ($1)')
    .replaceAll('$instance', '.*')
    .replaceAll('$__rate_interval', rateInterval);
