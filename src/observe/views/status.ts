import { cleanText } from '../fields.ts';
import type { Counters, StatusSnapshot } from '../snapshots.ts';
import { paint, type Style, toneOf } from './style.ts';
import { formatBytes, formatDuration } from './units.ts';

export function renderStatus(status: StatusSnapshot, style: Style): string {
  const role = status.role === 'route' ? 'routing host' : 'target';
  const lines: [string, string][] = [
    [role, `${status.host}, dvipa ${status.version}, up ${formatDuration(status.uptimeMs)}`],
    ['epoch', status.epoch === 0 ? 'not known yet' : String(status.epoch)],
    ...status.dvipas.map((dvipa): [string, string] => {
      const endpoint = dvipa.endpoint === dvipa.address ? '' : `, endpoint ${dvipa.endpoint}`;
      const serving = dvipa.serving.length === 0 ? 'nobody' : dvipa.serving.join(', ');
      return [
        'DVIPA',
        `${dvipa.address}${endpoint}, inbound filter ${dvipa.inboundFilter}, served by ${serving}`,
      ];
    }),
    ...charonLines(status, style),
    ...status.coupling.map((peer): [string, string] => {
      const heard =
        peer.lastHeardMs === undefined ? 'never heard' : `heard ${formatDuration(peer.lastHeardMs)} ago`;
      return [
        'coupling',
        `${peer.host} ${peer.address} ${paint(peer.state, toneOf(peer.state), style)}, ${heard}`,
      ];
    }),
    ...counterLines(status.counters),
  ];
  const width = Math.max(...lines.map(([name]) => name.length));
  return lines
    .map(([name, text]) => `${paint(name.padEnd(width), 'title', style)}  ${clean(text, style)}\n`)
    .join('');
}

/** Colours are ours and stay; everything else that a terminal would obey goes. */
function clean(text: string, style: Style): string {
  return style.hasColor ? text.split('\u001b').map(cleanText).join('\u001b') : cleanText(text);
}

function charonLines({ charon }: StatusSnapshot, style: Style): [string, string][] {
  if (charon === undefined) return [];
  if (!charon.connected) return [['charon', paint('not connected', 'bad', style)]];
  return [
    [
      'charon',
      `${paint('connected', 'good', style)}, ${charon.version ?? '?'}, instance ${charon.instance ?? '?'}`,
    ],
  ];
}

function counterLines(counters: Counters): [string, string][] {
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
