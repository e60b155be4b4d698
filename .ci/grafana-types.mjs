// Writes the dashboard as a TypeScript file that must fit Grafana's own published types (@grafana/schema), each panel those of its kind.
// Usage: node grafana-types.mjs DASHBOARD FOLDER-WITH-NODE_MODULES; then `tsc` there.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const [dashboardFile, folder] = process.argv.slice(2);
const dashboard = JSON.parse(readFileSync(dashboardFile, 'utf8'));
const { panels, ...rest } = dashboard;
const all = panels.flatMap((panel) => [panel, ...(panel.panels ?? [])]).map(({ panels: _, ...panel }) => panel);
const kinds = [...new Set(all.map((panel) => panel.type))].filter((kind) => kind !== 'row').sort();
// The plugin's name is the folder's, without its dash. Not every kind has a field configuration of its own.
const types = (kind) => `./node_modules/@grafana/schema/dist/types/raw/composable/${kind.replace('-', '')}/panelcfg/x/types.gen`;
const hasFields = (kind) => readFileSync(join(folder, `${types(kind)}.d.ts`), 'utf8').includes('FieldConfig extends');
const name = (kind) => kind.replace('-', '_');
const typeOf = (kind) => (kind === 'row' ? 'Loose<RowPanel>' : `PanelOf<${name(kind)}.Options, ${hasFields(kind) ? `${name(kind)}.FieldConfig` : '{}'}>`);

const lines = [
  "import type { Dashboard, Panel, RowPanel } from '@grafana/schema';",
  ...kinds.map((kind) => `import type * as ${name(kind)} from '${types(kind)}';`),
  // In JSON an enum is its value.
  'type Loose<T> = T extends string ? `${T}` : T extends (infer U)[] ? Loose<U>[] : T extends object ? { [K in keyof T]: Loose<T[K]> } : T;',
  // What the data source for Prometheus understands of a query.
  'interface Target {',
  "  refId: string; datasource: { type: 'prometheus'; uid: string }; expr: string; legendFormat: string;",
  "  editorMode: 'code'; range: boolean; instant: boolean; format?: 'table' | 'time_series' | 'heatmap';",
  '}',
  "type PanelOf<O, F> = Omit<Loose<Panel<O, Partial<F>>>, 'options' | 'targets'> & { options: Loose<Partial<O>>; targets: Target[] };",
  `export const dashboard: Loose<Omit<Dashboard, 'panels'>> = ${JSON.stringify(rest, null, 2)};`,
  ...all.map((panel, index) => `export const panel${index}: ${typeOf(panel.type)} = ${JSON.stringify(panel.type === 'row' ? { ...panel, panels: [] } : panel, null, 2)};`),
];
writeFileSync(join(folder, 'dashboard.ts'), `${lines.join('\n')}\n`);
