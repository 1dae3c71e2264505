import type {
  CreditSnapshot,
  GenerationSnapshot,
  LifesizeConfigurationSnapshot,
  LifesizeSnapshot,
  LifesizeUseSnapshot,
  SaLifesizeSnapshot,
} from '../lifesize-snapshot.ts';
import type { Style } from './style.ts';
import { renderTable } from './table.ts';
import { formatBytes, formatDuration, formatUse } from './units.ts';

/** SAs, then what was learned of their configurations, then rekeys by reason. */
export function renderLifesize(lifesize: LifesizeSnapshot, style: Style): string {
  const parts = [renderSas(lifesize.sas, style)];
  if (lifesize.configurations.length > 0) parts.push(renderConfigurations(lifesize.configurations, style));
  if (lifesize.rekeys.length > 0) parts.push(renderRekeys(lifesize, style));
  return parts.join('\n');
}

function renderSas(sas: readonly SaLifesizeSnapshot[], style: Style): string {
  return renderTable(
    sas,
    [
      { title: 'SPI', cell: ({ spi }) => spi },
      { title: 'DIR', cell: ({ direction }) => direction },
      { title: 'PEER', cell: ({ peer }) => peer },
      { title: 'BYTES', cell: (sa) => formatUse(sa.bytes, sa.limits.bytes, formatBytes) },
      { title: 'PACKETS', cell: (sa) => formatUse(sa.packets, sa.limits.packets, String) },
      { title: 'CHARGED', cell: ({ charged }) => charged && formatBytes(charged.bytes), align: 'right' },
      { title: 'PERCENT', cell: ({ percentage }) => percentage?.toFixed(2), align: 'right' },
      { title: 'CREDIT LEFT', cell: ({ credits }) => creditsOf(credits) },
      { title: 'REKEY', cell: rekeysOf },
    ],
    'no SAs',
    style,
  );
}

function rekeysOf({ rekeys = [] }: SaLifesizeSnapshot): string | undefined {
  if (rekeys.length === 0) return undefined;
  return rekeys
    .map(({ reason, attempts, agoMs }) => {
      const times = attempts > 1 ? ` ${attempts} times` : '';
      return `${reason}${times}, ${formatDuration(agoMs)} ago`;
    })
    .join('; ');
}

/** `target1 1.2 MiB, target2 lost`. */
function creditsOf(credits: readonly CreditSnapshot[]): string | undefined {
  const parts = credits.map(({ user, credit, reported, isLost }) =>
    isLost ? `${user} lost` : `${user} ${leftOf(credit, reported)}`,
  );
  return parts.length === 0 ? undefined : parts.join(', ');
}

function leftOf(credit: LifesizeUseSnapshot, reported: LifesizeUseSnapshot): string {
  const parts = [];
  if (credit.bytes !== undefined) parts.push(formatBytes(credit.bytes - (reported.bytes ?? 0)));
  if (credit.packets !== undefined) parts.push(`${credit.packets - (reported.packets ?? 0)} packets`);
  return parts.length === 0 ? 'any' : parts.join(' ');
}

interface Row extends Partial<GenerationSnapshot> {
  readonly configuration: LifesizeConfigurationSnapshot;
}

/** A line for each configuration as it is now, below it one for each generation that is remembered. */
function renderConfigurations(
  configurations: readonly LifesizeConfigurationSnapshot[],
  style: Style,
): string {
  return renderTable<Row>(
    configurations.flatMap((configuration) => [
      { configuration },
      ...configuration.history.map((generation) => ({ configuration, ...generation })),
    ]),
    [
      {
        title: 'CONFIGURATION',
        cell: ({ configuration: { ikeName, childName } }) => `${ikeName}/${childName}`,
      },
      { title: 'PEER ID', cell: ({ configuration }) => configuration.peer },
      { title: 'GENERATION', cell: ({ generation }) => generation ?? 'now', align: 'right' },
      {
        title: 'PERCENT',
        cell: ({ configuration, percentageBefore, percentageAfter }) =>
          percentageBefore === undefined || percentageAfter === undefined
            ? configuration.percentage.toFixed(2)
            : `${percentageBefore.toFixed(2)} > ${percentageAfter.toFixed(2)}`,
        align: 'right',
      },
      { title: 'OUTCOME', cell: ({ outcome }) => outcome, isState: true },
      { title: 'REKEY TOOK', cell: rekeyTimeOf, align: 'right' },
      { title: 'SWITCHED AT', cell: switchedAt },
    ],
    '',
    style,
  );
}

function rekeyTimeOf({ configuration, generation, rekeyMs }: Row): string {
  if (generation !== undefined) return formatDuration(rekeyMs);
  return `p99 ${formatDuration(configuration.rekeyMs)}`;
}

function switchedAt({ total, soft = 0, hard = 0, unit, direction }: Row): string | undefined {
  if (total === undefined) return undefined;
  const format = unit === 'bytes' ? formatBytes : (packets: number) => `${packets} packets`;
  return `${formatUse(total, { soft, hard }, format)}, ${direction}`;
}

function renderRekeys({ rekeys, hardLimits }: LifesizeSnapshot, style: Style): string {
  const table = renderTable(
    rekeys,
    [
      { title: 'REKEYS FOR', cell: ({ reason }) => reason },
      { title: 'NEEDS', cell: ({ needs }) => needs, align: 'right' },
      { title: 'FINISHED', cell: ({ finished }) => finished, align: 'right' },
      { title: 'ASKED AGAIN', cell: ({ repeated }) => repeated, align: 'right' },
      { title: 'REFUSED', cell: ({ refused }) => refused, align: 'right' },
    ],
    '',
    style,
  );
  return hardLimits === 0 ? table : `${table}SAs that a hard limit ended: ${hardLimits}\n`;
}
