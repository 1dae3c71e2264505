import type { z } from 'zod';
import { integer, object } from './fields.ts';

/** Ports from which targets open connections of a DVIPA: one block for each target, in the order of `targets`. */
export interface SourcePortsConfig {
  /** Inclusive. */
  readonly from: number;
  readonly to: number;
  /** Ports of one target. */
  readonly block: number;
}

const port = integer(1024, 65_535, 'a port');

/** Linux's own range (`net.ipv4.ip_local_port_range`), so that a kernel takes ports of it already. */
export const sourcePorts = object({
  from: port.default(32_768).meta({ description: 'The first port.' }),
  to: port.default(60_999).meta({ description: 'The last port.' }),
  block: integer(1, 64_512, 'ports').optional().meta({
    description:
      'Ports of one target. With it, targets that are added at the end of the list move no block of others.',
    absent: 'the range is shared out among the targets',
    example: 4096,
  }),
})
  .prefault({})
  .meta({
    description:
      'Ports from which targets open connections of the DVIPA: a block for each target, in their order. No service may be on one.',
  });

type FileSourcePorts = z.output<typeof sourcePorts>;

/** Without `block` all of the range is shared out: then one more target moves the blocks of all others. */
export function sourcePortsOf({ from, to, block }: FileSourcePorts, targets: number): SourcePortsConfig {
  return { from, to, block: block ?? Math.floor((to - from + 1) / targets) };
}

/** What the file has of it. */
interface File {
  readonly dvipas: readonly {
    readonly source_ports: FileSourcePorts;
    readonly services?: readonly { readonly port: number }[] | undefined;
  }[];
  readonly targets: readonly unknown[];
}

/** What each value allows by itself, but not together. `index`: of the DVIPA. */
export function refuseSourcePorts(file: File, index: number, context: z.core.$RefinementCtx): void {
  const refuse = (path: readonly (string | number)[], message: string) => {
    context.addIssue({ code: 'custom', path: ['dvipas', index, ...path], message });
  };
  const { source_ports: ports, services = [] } = file.dvipas[index] as File['dvipas'][number];
  const { from, to, block } = ports;
  const count = file.targets.length;
  if (from > to) {
    refuse(['source_ports', 'to'], `is below from, expected a port from ${from} to 65535`);
    return;
  }
  const most = Math.floor((to - from + 1) / count);
  if (most < 1)
    refuse(['source_ports', 'to'], `leaves some of ${count} targets without a port, expected more`);
  else if (block !== undefined && block > most) {
    refuse(['source_ports', 'block'], `is too much for ${count} targets, expected ports from 1 to ${most}`);
  }
  for (const [place, service] of services.entries()) {
    if (service.port < from || service.port > to) continue;
    refuse(
      ['services', place, 'port'],
      `is a source port of the DVIPA, expected none from ${from} to ${to}, or other source_ports`,
    );
  }
}
