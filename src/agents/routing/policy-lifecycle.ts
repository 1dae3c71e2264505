import type { Clock } from '../../base/clock.ts';
import type { OutboundPolicy } from '../../ipsec/sa.ts';
import type { Log } from '../../observe/log.ts';
import type { PluginPolicy } from '../../vici/index.ts';
import { toOutboundPolicy } from '../plugin-sa.ts';
import type { LifesizeLearning } from './lifesize-learning.ts';
import { PolicyBarriers } from './policy-barriers.ts';
import type { RoutingSas } from './routing-sas.ts';
import type { Cluster } from './target-peers.ts';

export interface PolicyLifecycleOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly cluster: Cluster;
  readonly sas: RoutingSas;
  readonly learning: LifesizeLearning;
  /** Ends charon's wait for the policy with this id of the plugin's. */
  readonly acknowledge: (id: string) => void;
}

/** The life of outbound policies: they say which SA is used, so a policy that comes again with another SA is charon's switch. */
export class PolicyLifecycle {
  readonly #options: PolicyLifecycleOptions;
  readonly #barriers: PolicyBarriers;

  constructor(options: PolicyLifecycleOptions) {
    this.#options = options;
    this.#barriers = new PolicyBarriers(options.acknowledge);
  }

  /** All there are: what is not named is gone. */
  snapshot(policies: readonly PluginPolicy[]): void {
    const keys = new Set(policies.filter(isOutbound).map(({ key }) => key));
    for (const { key } of this.#options.sas.outbound.policies()) if (!keys.has(key)) this.remove(key);
    for (const policy of policies) this.add(policy);
  }

  add(given: PluginPolicy): void {
    if (!isOutbound(given)) return; // charon does not wait at it, and nothing depends on it
    const translated = toOutboundPolicy(given);
    const { sas, cluster, log } = this.#options;
    if (!translated.ok) {
      log.warn('policy cannot be served', { policy: given.key, reason: translated.reason });
      return;
    }
    const policy = translated.value;
    if (cluster.serviceOf(policy) === undefined) {
      log.warn('policy cannot be served', { policy: given.key, reason: 'dvipa-not-configured' });
      this.#barriers.pass(given.id);
      return;
    }
    const before = sas.outbound.policy(policy.key);
    sas.outbound.installPolicy(policy);
    const isSwitch = before !== undefined && before.spi !== policy.spi;
    if (isSwitch) this.#switched(before);
    const entry = sas.outbound.saOf(policy);
    const service = entry?.service ?? cluster.serviceOf(policy);
    const peers = service === undefined ? [] : cluster.connected(service);
    for (const peer of peers) {
      // A target gets the policy with its SA. Until it can send on a new one (charon waits for that, but not for ever) it goes on with the old.
      const isEarly = entry !== undefined && !peer.senderIds.has(entry.sa.id);
      if (!isEarly) peer.session?.send('policy-install', { policy });
    }
    const hosts = peers.map(({ host }) => host);
    this.#barriers.begin(policy.key, given.id, hosts);
  }

  remove(key: string): void {
    const { sas, cluster } = this.#options;
    this.#barriers.removed(key);
    if (sas.outbound.removePolicy(key) === undefined) return;
    for (const peer of cluster.peers) if (peer.hasSnapshot) peer.session?.send('policy-remove', { key });
  }

  /** A target goes by the policy. */
  served(key: string, host: string): void {
    this.#barriers.served(key, host);
  }

  /** charon switched to another outbound SA: the old one needs no rekey any more. */
  #switched(before: OutboundPolicy): void {
    const old = this.#options.sas.outbound.saOf(before);
    if (old === undefined) return;
    old.isReplaced = true;
    old.numbering.replaced();
    old.lifesize.replaced();
    this.#options.learning.switched(old, this.#options.clock.now());
  }
}

function isOutbound(policy: PluginPolicy): boolean {
  return policy.direction === 'out';
}
