import { z } from 'zod';
import { flag, hostName, integer, list, object, oneOf, port } from './fields.ts';
import { inputOf } from './option.ts';
import { refuseRepeats } from './shared.ts';

export type Distribution = 'round-robin' | 'weighted-active' | 'server-load' | 'hot-standby' | 'maglev';

/** What keeps a client on one target (docs/distribution.md). */
export type AffinityConfig = 'none' | 'sa' | { readonly sourceSeconds: number };

/** How new connections are shared out, of a DVIPA or of one port of it. */
export interface DistributionConfig {
  readonly distribution: Distribution;
  /** By host name; who is not in it has weight 1. */
  readonly weights: Readonly<Record<string, number>>;
  readonly affinity: AffinityConfig;
  /** Hot standby: the first target takes over again when it returns. */
  readonly switchBack: boolean;
  /** Host names, in the order of hot standby. */
  readonly targets: readonly string[];
}

export interface ServiceConfig extends DistributionConfig {
  readonly protocol: 'tcp' | 'udp';
  readonly port: number;
}

const AFFINITY = 'expected none, sa or { source_seconds: 1 to 86400 }';
const sourceAffinity = object({
  source_seconds: integer(1, 86_400, 'seconds').meta({
    description: 'How long a source address stays with its target after its last connection.',
  }),
});

/** A word, or a mapping; complaints about the mapping name its key. */
const affinityInput = z.union([z.enum(['none', 'sa']), sourceAffinity]);
const affinity = z.unknown().transform((value, context): AffinityConfig => {
  if (value === 'none' || value === 'sa') return value;
  const isMapping = value !== null && typeof value === 'object' && !Array.isArray(value);
  const result = sourceAffinity.safeParse(value);
  if (result.success) return { sourceSeconds: result.data.source_seconds };
  if (!isMapping) context.addIssue({ code: 'custom', message: AFFINITY });
  else for (const issue of result.error.issues) context.addIssue({ ...issue, input: value } as never);
  return z.NEVER;
});

const WEIGHTS = 'expected a mapping of targets to weights, such as { target2: 3 }';
const weights = z.record(z.string(), integer(1, 100, 'a weight'), { error: WEIGHTS });

const common = {
  weights: weights.optional().meta({
    description: 'Shares of the targets, by name. A target that is not named has weight 1.',
    kind: 'mapping of targets to weights from 1 to 100',
    example: { target2: 3 },
  }),
  affinity: affinity.optional().meta({
    description:
      'What keeps a client on one target: nothing, its SA, or its source address for some seconds after its last connection.',
    kind: '`none`, `sa`, or `{ source_seconds: N }` with N from 1 to 86400',
    anyOf: inputOf(affinityInput).anyOf,
    example: { source_seconds: 300 },
  }),
  switch_back: flag.optional().meta({
    description: 'For hot-standby: whether the first target takes over again when it returns.',
    example: false,
  }),
};

const distribution = oneOf('round-robin', 'weighted-active', 'server-load', 'hot-standby', 'maglev').meta({
  description: 'Which target gets a new connection (distribution.md).',
});

const OF_THE_DVIPA = { absent: 'as for the DVIPA' };

const service = object({
  protocol: oneOf('tcp', 'udp').meta({ description: 'Protocol of the service.' }),
  port: port.meta({ description: 'Its port: a destination port of the DVIPA.' }),
  distribution: distribution.optional().meta({ ...OF_THE_DVIPA, example: 'hot-standby' }),
  weights: common.weights.meta(OF_THE_DVIPA),
  affinity: common.affinity.meta(OF_THE_DVIPA),
  switch_back: common.switch_back.meta(OF_THE_DVIPA),
  targets: list(hostName, 'target hosts', 32)
    .optional()
    .meta({
      description: 'Its targets, in the order of hot-standby: some of those of the DVIPA.',
      example: ['target2', 'target1'],
      ...OF_THE_DVIPA,
    }),
});

/** Keys of a DVIPA. What is implied is no default in the schema: services inherit only what is written. */
export const distributionKeys = {
  distribution: distribution.default('round-robin'),
  weights: common.weights.meta({ absent: 'each has 1' }),
  affinity: common.affinity.meta({ implied: 'none' }),
  switch_back: common.switch_back.meta({ implied: true }),
  services: list(service, 'services', 64)
    .optional()
    .meta({
      description: 'Ports that are distributed in their own way. UDP of no service goes by hash.',
      absent: 'none',
      example: [
        { protocol: 'tcp', port: 443 },
        { protocol: 'udp', port: 53, distribution: 'weighted-active' },
      ],
    }),
};

/** What a DVIPA's file has of it. */
interface FileDvipa extends Partial<FileKeys> {
  readonly distribution: Distribution;
  readonly targets: readonly string[];
  readonly services?: readonly z.output<typeof service>[] | undefined;
}

interface FileKeys {
  readonly weights: Readonly<Record<string, number>> | undefined;
  readonly affinity: AffinityConfig | undefined;
  readonly switch_back: boolean | undefined;
}

/** What a service does not say, its DVIPA does. */
export function distributionOf(dvipa: FileDvipa): DistributionConfig & { services: ServiceConfig[] } {
  const whole = {
    distribution: dvipa.distribution,
    weights: dvipa.weights ?? {},
    affinity: dvipa.affinity ?? 'none',
    switchBack: dvipa.switch_back ?? true,
    targets: dvipa.targets,
  } as const;
  const services = (dvipa.services ?? []).map((each) => {
    const targets = each.targets ?? whole.targets;
    const given = each.weights ?? whole.weights;
    return {
      protocol: each.protocol,
      port: each.port,
      distribution: each.distribution ?? whole.distribution,
      weights: Object.fromEntries(Object.entries(given).filter(([host]) => targets.includes(host))),
      affinity: each.affinity ?? whole.affinity,
      switchBack: each.switch_back ?? whole.switchBack,
      targets,
    };
  });
  return { ...whole, services };
}

/** What each value allows by itself, but not together. `path`: of the DVIPA. */
export function refuseDistribution(
  dvipa: FileDvipa,
  path: readonly (string | number)[],
  context: z.core.$RefinementCtx,
): void {
  const refuse = (at: readonly (string | number)[], message: string) => {
    context.addIssue({ code: 'custom', path: [...path, ...at], message });
  };
  const refuseTogether = (
    at: readonly (string | number)[],
    entry: Partial<FileKeys>,
    distribution: Distribution,
    targets: readonly string[],
  ) => {
    for (const host of Object.keys(entry.weights ?? {})) {
      if (targets.includes(host)) continue;
      refuse(
        [...at, 'weights', host],
        `is the weight of no target here, expected one of ${targets.join(', ')}`,
      );
    }
    if (entry.switch_back !== undefined && distribution !== 'hot-standby')
      refuse([...at, 'switch_back'], `is for hot-standby, expected none with ${distribution}`);
  };
  // What the DVIPA says of hot standby may be meant for its services.
  const isStandby = (dvipa.services ?? []).some((each) => each.distribution === 'hot-standby');
  refuseTogether([], dvipa, isStandby ? 'hot-standby' : dvipa.distribution, dvipa.targets);
  const services = dvipa.services ?? [];
  for (const [index, each] of services.entries()) {
    const at = ['services', index];
    const targets = each.targets ?? dvipa.targets;
    for (const [place, host] of targets.entries()) {
      if (each.targets === undefined || dvipa.targets.includes(host)) continue;
      refuse(
        [...at, 'targets', place],
        `is no target of the DVIPA, expected one of ${dvipa.targets.join(', ')}`,
      );
    }
    refuseRepeats(
      each.targets ?? [],
      (host) => host,
      (place) => [...path, ...at, 'targets', place],
      context,
    );
    refuseTogether(at, each, each.distribution ?? dvipa.distribution, targets);
  }
  refuseRepeats(
    services,
    (each) => `${each.protocol} ${each.port}`,
    (place) => [...path, 'services', place, 'port'],
    context,
  );
}
