import { cleanText } from '../fields.ts';
import type {
  Counters,
  CrewSnapshot,
  LinkSnapshot,
  OpeningSnapshot,
  SendingSnapshot,
  StatusSnapshot,
} from '../snapshots.ts';
import { reasonsOf } from './health.ts';
import { paint, type Style, type Tone, toneOf } from './style.ts';
import { formatBytes, formatDuration } from './units.ts';

/** Parts of a line after its name; a part with a tone is coloured. */
type Part = string | readonly [text: string, tone: Tone | undefined];
type Line = readonly [name: string, ...parts: Part[]];

export function renderStatus(status: StatusSnapshot, style: Style): string {
  const role = status.role === 'route' ? 'routing host' : 'target';
  const lines: Line[] = [
    [role, `${status.host}, dvipa ${status.version}, up ${formatDuration(status.uptimeMs)}`],
    ['health', [status.health.state, toneOf(status.health.state)], reasonsOf(status.health)],
    ['epoch', status.epoch === 0 ? 'not known yet' : String(status.epoch)],
    ...status.dvipas.map((dvipa): Line => {
      const others = dvipa.endpoints.filter((endpoint) => endpoint !== dvipa.address);
      const endpoint = others.length === 0 ? '' : `, endpoint ${others.join(', ')}`;
      const serving = dvipa.serving.length === 0 ? 'nobody' : dvipa.serving.join(', ');
      const clear = dvipa.clearText === 'distribute' ? ', clear text distributed' : '';
      return [
        'DVIPA',
        `${dvipa.address}${endpoint}, inbound filter ${dvipa.inboundFilter}${clear}, served by ${serving}`,
      ];
    }),
    ...charonLines(status),
    ...status.coupling.map((peer): Line => {
      const heard =
        peer.lastHeardMs === undefined ? 'never heard' : `heard ${formatDuration(peer.lastHeardMs)} ago`;
      return ['coupling', `${peer.host} ${peer.address} `, [peer.state, toneOf(peer.state)], `, ${heard}`];
    }),
    ...counterLines(status.counters),
    ...linkLines(status.link),
    ...crewLines(status.crew),
    ...sendingLines(status.sending),
    ...openingLines(status.opening),
  ];
  const width = Math.max(...lines.map(([name]) => name.length));
  return lines
    .map(([name, ...parts]) => {
      const text = parts.map((part) => renderPart(part, style)).join('');
      return `${paint(name.padEnd(width), 'title', style)}  ${text}\n`;
    })
    .join('');
}

/** Texts are cleaned before they are painted: the only terminal codes that come out are ours. */
function renderPart(part: Part, style: Style): string {
  return typeof part === 'string' ? cleanText(part) : paint(cleanText(part[0]), part[1], style);
}

function charonLines({ charon }: StatusSnapshot): Line[] {
  if (charon === undefined) return [];
  if (!charon.connected) return [['charon', ['not connected', 'bad']]];
  return [
    ['charon', ['connected', 'good'], `, ${charon.version ?? '?'}, instance ${charon.instance ?? '?'}`],
  ];
}

function counterLines(counters: Counters): Line[] {
  return [
    [
      'inbound',
      `${counters.packetsIn} packets, ${formatBytes(counters.bytesIn)}, ${counters.opened} opened here`,
    ],
    [
      'outbound',
      `${counters.packetsOut} packets, ${formatBytes(counters.bytesOut)}, ${counters.sealed} sealed here`,
    ],
    ['link', `${counters.linkIn} packets in, ${counters.linkOut} out`],
    ['dropped', `${counters.dropped} packets (dvipa drops)`],
  ];
}

/** How well batches do. */
function linkLines(link: LinkSnapshot | undefined): Line[] {
  if (link === undefined) return [];
  const { driver, gso, gro, sent, sendCalls, received, receiveCalls } = link;
  const each = (packets: number, calls: number) => (calls === 0 ? '0' : (packets / calls).toFixed(1));
  const offloads = `gso ${gso ? 'on' : 'off'}, gro ${gro ? 'on' : 'off'}`;
  return [
    [
      'driver',
      `${driver}, ${offloads}, ${each(received, receiveCalls)} packets a system call in, ${each(sent, sendCalls)} out`,
    ],
  ];
}

/** Nothing of a crew of one, which shares nothing. */
function crewLines(crew: CrewSnapshot | undefined): Line[] {
  if (crew === undefined || crew.workers === 1) return [];
  const { workers, runs, stalls } = crew;
  return [['workers', `${workers} threads, ${runs} vectors shared, ${stalls} times without processors`]];
}

function sendingLines(sending: SendingSnapshot | undefined): Line[] {
  if (sending === undefined) return [];
  const { packets, runs, packetsInRuns } = sending;
  return [['sending', `${packets} packets to peers, ${packetsInRuns} of them in ${runs} runs`]];
}

/** Packets that a routing host verifies itself. */
function openingLines(opening: OpeningSnapshot | undefined): Line[] {
  if (opening === undefined) return [];
  const { perSecond, granted, refused, opened, inPlaceOfTargets, waiting, attackedSas, rings } = opening;
  const attacked: Part[] =
    attackedSas === 0 ? [] : [', ', [`${attackedSas} ${attackedSas === 1 ? 'SA' : 'SAs'} attacked`, 'bad']];
  return [
    [
      'opening',
      `${opened} of ${granted} verified packets genuine, ${inPlaceOfTargets} in place of targets, ${waiting} waiting`,
      ...attacked,
    ],
    [
      'budget',
      `${perSecond} packets a second, ${refused} refused; ${rings.used} of ${rings.capacity} places for numbers under way`,
    ],
  ];
}
