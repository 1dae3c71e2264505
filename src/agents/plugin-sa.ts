import type { OutboundPolicy, SaId, SecurityAssociation, Spi } from '../ipsec/sa.ts';
import { type TrafficSelector, trafficSelectorOf } from '../ipsec/traffic-selector.ts';
import { StoreError } from '../store/monotonic.ts';
import type { PluginStatePort } from '../store/plugin-store.ts';
import {
  listPlugin,
  type PluginPolicy,
  type PluginSa,
  type PluginSaUpdate,
  type PluginSelector,
  type PluginSession,
  putState,
  wipePluginSa,
} from '../vici/index.ts';

/** A translation, or why there is none: the plugin said something that this data plane cannot hold. */
export type Translated<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly reason: string };

/** A target's window is wider by a report round trip, and must fit a record. A wider one of charon's is not served in full. */
const WINDOW_MAX_PACKETS = 16_384;

/** The name of a plugin's SA in the cluster. */
export function saIdOf(instance: string, id: string): SaId {
  return `${instance}:${id}` as SaId;
}

/** The plugin's own number of an SA, if the SA belongs to this life of charon. */
export function pluginIdOf(instance: string, id: SaId): string | undefined {
  return id.startsWith(`${instance}:`) ? id.slice(instance.length + 1) : undefined;
}

/**
 * The SA of the domain; it takes over `sa`'s keys, so exactly one of the two is wiped. Not ok: wipe `sa`.
 */
export function toSecurityAssociation(instance: string, sa: PluginSa): Translated<SecurityAssociation> {
  const sourceSelectors = toSelectors(sa.sourceSelectors);
  const destinationSelectors = toSelectors(sa.destinationSelectors);
  if (sourceSelectors === undefined || destinationSelectors === undefined) {
    return { ok: false, reason: 'traffic-selector' };
  }
  const integrity =
    sa.integrityKey === undefined
      ? {}
      : { integrity: { transform: sa.integrityTransform, key: sa.integrityKey } };
  const value: SecurityAssociation = {
    id: saIdOf(instance, sa.id),
    spi: sa.spi as Spi,
    direction: sa.direction,
    mode: sa.mode,
    reqid: sa.reqid,
    group: sa.group,
    outer: outerOf(sa),
    hasUdpEncapsulation: sa.hasUdpEncapsulation,
    hasEsn: sa.hasEsn,
    replayWindowPackets: Math.min(sa.replayWindowPackets, WINDOW_MAX_PACKETS),
    encryption: { transform: sa.encryptionTransform, key: sa.encryptionKey },
    ...integrity,
    sourceSelectors,
    destinationSelectors,
    lifetime: { bytes: sa.bytes, packets: sa.packets, seconds: sa.seconds },
    // In transport mode nothing would tell where the packet ends (RFC 4303 section 2.7); what comes in was padded by the peer.
    tfcBytes: sa.mode === 'tunnel' && sa.direction === 'out' ? sa.tfcBytes : 0,
    copy: { df: sa.copyDf, ecn: sa.copyEcn, dscp: sa.copyDscp === 'yes' || sa.copyDscp === sa.direction },
    dvipa: sa.dvipa,
  };
  return { ok: true, value };
}

/** After an `sa-update`: what may change while an SA lives are its outer addresses and whether ESP is in UDP. Same keys. */
export function withUpdate(sa: SecurityAssociation, update: PluginSaUpdate): SecurityAssociation {
  return { ...sa, outer: outerOf(update), hasUdpEncapsulation: update.hasUdpEncapsulation };
}

/** The policy of the domain. Only policies of direction `out` have one: ask before. */
export function toOutboundPolicy(policy: PluginPolicy): Translated<OutboundPolicy> {
  if (policy.direction !== 'out') return { ok: false, reason: 'direction' };
  const source = toSelector(policy.sourceSelector);
  const destination = toSelector(policy.destinationSelector);
  if (source === undefined || destination === undefined) return { ok: false, reason: 'traffic-selector' };
  const { key, reqid, group, priority } = policy;
  const spi = policy.spi as Spi | undefined;
  return {
    ok: true,
    value: { key, source, destination, reqid, group, priority, spi, peer: policy.destination },
  };
}

/** The plugin as a store, for `PluginStore`. Works while the session is connected. */
export function pluginStatePort(plugin: PluginSession): PluginStatePort {
  return {
    async list() {
      const { instance, sas, states } = await listPlugin(plugin.session, () => undefined);
      const kept = new Map<SaId, Buffer>();
      for (const sa of sas) {
        if (sa.state !== undefined) kept.set(saIdOf(instance, sa.id), sa.state);
        wipePluginSa(sa); // a second copy of the keys; not wanted here
      }
      return { sas: kept, dvipas: states };
    },
    async putSa(id, state) {
      const sa = pluginIdOf(plugin.instance, id);
      if (sa === undefined) throw new StoreError('unknown-sa', 'the SA belongs to another life of charon');
      await putState(plugin.session, { sa }, state);
    },
    async putDvipa(dvipa, state) {
      await putState(plugin.session, { dvipa }, state);
    },
  };
}

function outerOf(sa: PluginSaUpdate): SecurityAssociation['outer'] {
  const { source, destination, sourcePort, destinationPort } = sa;
  return { source, destination, sourcePort, destinationPort };
}

function toSelectors(selectors: readonly PluginSelector[]): TrafficSelector[] | undefined {
  const all = selectors.map(toSelector).filter((selector) => selector !== undefined);
  return all.length === selectors.length ? all : undefined;
}

function toSelector(selector: PluginSelector): TrafficSelector | undefined {
  return trafficSelectorOf(selector);
}
