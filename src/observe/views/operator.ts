import { cleanText } from '../fields.ts';
import type { DrainSnapshot, MaintenanceSnapshot, RekeySnapshot } from '../operator-snapshots.ts';
import { paint, type Style } from './style.ts';
import { renderTable } from './table.ts';

export function renderDrain({ target, draining, maintenance }: DrainSnapshot, style: Style): string {
  const name = cleanText(target);
  const why = maintenance ? ' (it is in maintenance)' : '';
  const text =
    draining.length === 0
      ? 'gets new connections'
      : `gets no new connections of ${draining.join(', ')}${why}`;
  return `${name} ${paint(cleanText(text), draining.length === 0 ? 'good' : 'waiting', style)}\n`;
}

export function renderMaintenance(answer: MaintenanceSnapshot, style: Style): string {
  const { host, isOn, isReported, connections } = answer;
  const state = paint(isOn ? 'in maintenance' : 'in service', isOn ? 'waiting' : 'good', style);
  const heard = isReported ? '' : '; the routing host is not connected and will hear of it later';
  return `${cleanText(host)} is ${state}, ${connections} connections${heard}\n`;
}

export function renderRekey({ asked }: RekeySnapshot, style: Style): string {
  return renderTable(
    asked,
    [
      { title: 'SPI', cell: (sa) => sa.spi },
      { title: 'DIR', cell: (sa) => sa.direction },
      { title: 'IKE', cell: (sa) => sa.ikeName },
      { title: 'CHILD', cell: (sa) => sa.childName },
      { title: 'CHARON', cell: (sa) => sa.outcome, isState: true },
    ],
    'no SAs',
    style,
  );
}
