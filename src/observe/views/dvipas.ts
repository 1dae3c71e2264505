import type { DistributionSnapshot, DvipaDetails, DvipaTargetSnapshot } from '../dvipa-snapshot.ts';
import { cleanText } from '../fields.ts';
import { paint, type Style } from './style.ts';
import { renderTable } from './table.ts';

/** A paragraph for each DVIPA: what it is, how it is distributed, and a table of its targets. */
export function renderDvipas(dvipas: readonly DvipaDetails[], style: Style): string {
  if (dvipas.length === 0) return 'no DVIPAs\n';
  return dvipas.map((dvipa) => renderDvipa(dvipa, style)).join('\n');
}

function renderDvipa(dvipa: DvipaDetails, style: Style): string {
  const { address, endpoints, inboundFilter, clearText, returnVia, distribution, services = [], sas } = dvipa;
  const others = endpoints.filter((endpoint) => endpoint !== address);
  const lines = [
    others.length === 0 ? 'endpoint itself' : `endpoint ${others.join(', ')}`,
    `inbound filter ${inboundFilter}, clear text ${clearText}, return ${returnVia}, ${sas} SAs`,
    ...(distribution === undefined ? [] : [`new connections by ${textOf(distribution)}`]),
    ...services.map((one) => `${one.protocol} ${one.port} by ${textOf(one)} over ${one.targets.join(', ')}`),
    ...sourcePortsLine(dvipa),
  ];
  const table = renderTable(
    dvipa.targets,
    [
      { title: 'TARGET', cell: (target) => target.host },
      { title: 'STATE', cell: (target) => target.state, isState: true },
      { title: 'NEW', cell: (target) => (target.isDraining ? 'drained' : 'yes') },
      { title: 'CONNECTIONS', cell: (target) => target.connections, align: 'right' },
      { title: 'BUSY', cell: busyOf, align: 'right' },
      { title: 'SOURCE PORTS', cell: ({ sourcePorts: ports }) => ports && `${ports.from}-${ports.to}` },
      { title: 'LISTENS', cell: listenersOf },
    ],
    'no targets',
    style,
  );
  const text = [paint(cleanText(address), 'title', style), ...lines.map((line) => `  ${cleanText(line)}`)];
  return `${text.join('\n')}\n${indented(table)}`;
}

function textOf({ method, affinity, affinitySeconds, switchBack, weights }: DistributionSnapshot): string {
  const parts = [
    method,
    ...(switchBack === undefined ? [] : [switchBack ? 'switches back' : 'stays']),
    ...(affinity === 'none'
      ? []
      : [`affinity by ${affinity}${affinitySeconds ? ` for ${affinitySeconds} s` : ''}`]),
    ...(weights.length === 0
      ? []
      : [`weights ${weights.map(({ host, weight }) => `${host}:${weight}`).join(' ')}`]),
  ];
  return parts.join(', ');
}

function sourcePortsLine({ sourcePorts }: DvipaDetails): string[] {
  if (sourcePorts === undefined) return [];
  const { from, to, block } = sourcePorts;
  return [`source ports ${from}-${to}${block === undefined ? '' : `, ${block} for each target`}`];
}

function busyOf({ busyPerMille }: DvipaTargetSnapshot): string | undefined {
  return busyPerMille === undefined ? undefined : `${(busyPerMille / 10).toFixed(1)} %`;
}

function listenersOf({ listeners }: DvipaTargetSnapshot): string | undefined {
  if (listeners === undefined) return undefined;
  const parts = (['tcp', 'udp'] as const).flatMap((protocol) => {
    const ports = listeners[protocol];
    return ports.length === 0 ? [] : [`${protocol} ${shortened(ports)}`];
  });
  return parts.length === 0 ? 'nowhere' : parts.join(' ');
}

/** The first few; `--json` has them all. */
function shortened(ports: readonly number[]): string {
  const shown = ports.slice(0, 8).join(',');
  return ports.length > 8 ? `${shown},... (${ports.length})` : shown;
}

function indented(text: string): string {
  return text.replaceAll(/^(?=.)/gm, '  ');
}
