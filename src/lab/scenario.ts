import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { z } from 'zod';
import type { LabHostPlan } from './addresses.ts';

const address = z.ipv4();
const mtu = z.number().int().min(1280).max(9000);

/** `scenario.yaml`: what the lab must know about a scenario before its templates. */
const scenarioSchema = z.strictObject({
  description: z.string(),
  dvipa: address,
  /** Where IKE and outer ESP go; the DVIPA itself in scenario `direct`. */
  endpoint: address,
  /** Clients reach this network on the outside link; absent: only through the tunnel. */
  on_link: z.string().optional(),
  /** With a second DVIPA all hosts have IPv6 on the outside network; absent: IPv6 is off in the whole lab. */
  dvipa6: z.ipv6().optional(),
  endpoint6: z.ipv6().optional(),
  on_link6: z.string().optional(),
  /** IKE and outer ESP may go to the DVIPAs themselves as well: the routing host has their addresses. */
  dvipa_is_endpoint: z.boolean().default(false),
  /** Of the networks' links; 1500 unless said otherwise. */
  mtu: z.strictObject({ outside: mtu.optional(), cluster: mtu.optional() }).default({}),
  /** Defaults of the templates' {{names}}. */
  values: z.record(z.string(), z.union([z.string(), z.number()])),
});

export interface Scenario {
  readonly name: string;
  readonly folder: string;
  readonly dvipa: string;
  readonly endpoint: string;
  readonly onLink?: string | undefined;
  readonly dvipa6?: string | undefined;
  readonly endpoint6?: string | undefined;
  readonly onLink6?: string | undefined;
  readonly dvipaIsEndpoint: boolean;
  readonly mtu: { readonly outside?: number | undefined; readonly cluster?: number | undefined };
  readonly values: Readonly<Record<string, string | number>>;
}

export type TemplateValues = Readonly<Record<string, string | number>>;

/** Names of the scenarios under strongswan-conf/. What lies there for virtual machines is none: it has no templates. */
export function scenarioNames(root: string): string[] {
  const folder = join(root, 'strongswan-conf');
  return readdirSync(folder)
    .filter((name) => existsSync(join(folder, name, 'scenario.yaml')))
    .toSorted();
}

/** Throws if there is no such scenario or its `scenario.yaml` is not as it should be. */
export function readScenario(root: string, name: string): Scenario {
  const known = scenarioNames(root);
  if (!known.includes(name)) throw new Error(`no scenario '${name}', expected one of: ${known.join(', ')}`);
  const folder = join(root, 'strongswan-conf', name);
  const {
    description: _,
    on_link: onLink,
    on_link6: onLink6,
    dvipa_is_endpoint: dvipaIsEndpoint,
    ...rest
  } = scenarioSchema.parse(parse(readFileSync(join(folder, 'scenario.yaml'), 'utf8')));
  return { name, folder, onLink, onLink6, dvipaIsEndpoint, ...rest };
}

/**
 * The configuration files of one host, by file name, with the values filled in. A host without a folder of its own
 * uses that of number 1 of its kind, so every folder is a complete example.
 */
export function renderHost(
  scenario: Scenario,
  host: LabHostPlan,
  values: TemplateValues,
): Map<string, string> {
  const own = join(scenario.folder, host.name);
  const folder = existsSync(own) ? own : join(scenario.folder, `${host.kind}1`);
  const files = new Map<string, string>();
  for (const name of readdirSync(folder)) {
    files.set(name, render(readFileSync(join(folder, name), 'utf8'), values, join(folder, name)));
  }
  return files;
}

/** Replaces every `{{name}}`; a name without a value is an error that names `where`. */
export function render(template: string, values: TemplateValues, where: string): string {
  return template.replaceAll(/\{\{(\w+)\}\}/g, (_, name: string) => {
    const value = Object.hasOwn(values, name) ? values[name] : undefined;
    if (value === undefined) throw new Error(`${where}: no value for {{${name}}}`);
    return String(value);
  });
}
