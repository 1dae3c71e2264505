import { isIPv6 } from 'node:net';
import { isDeepStrictEqual } from 'node:util';
import { AGENT_MARK, TARGET_GUARD_TABLE } from './guard-constants.ts';
import { agentsOwn, bothFamilies, type LinkPlace, linkRules } from './guard-rules.ts';
import {
  addressSets,
  hasTable,
  installTable,
  interfaceName,
  type NftCounters,
  readCounters,
  removeTable,
} from './nft.ts';
import { hasPolicyRouting, installPolicyRouting, removePolicyRouting, routeToTun } from './policy-routing.ts';
import { kernelHasIpv6, Sysctls } from './sysctl.ts';
import {
  addTunAddress,
  deleteTunAddress,
  deleteTunDevice,
  linkAddresses,
  makeTunDevice,
} from './tun-device.ts';

export interface TargetGuardOptions {
  /** Addresses as text, canonical, of both families. */
  readonly dvipas: readonly string[];
  /** `queues`: how many threads will read and write it at once; 1 if not said. */
  readonly tun: { readonly name: string; readonly mtu: number; readonly queues?: number };
  /** Interfaces on which this host must never answer for a DVIPA. */
  readonly links: readonly string[];
  /** Where the trusted link is heard. */
  readonly trustedLink?: LinkPlace;
  readonly mark?: number;
}

/**
 * Keeps a target's host from leaking: a DVIPA's packets go through the TUN, or not at all. Everything here
 * is state of the kernel, so it holds when the agent is killed:
 *
 * 1. nftables, in place before the DVIPA is, drop what leaves from or to a DVIPA unless it leaves by the TUN
 *    or is the agent's own (marked, ESP or about an MTU; of DVIPAs that distribute clear text, whatever is marked), and what comes to a DVIPA unless it comes from the TUN;
 *    nothing is forwarded from or to a DVIPA or the TUN. The trusted link is heard on the cluster interface only. `lo` is let through: it never leaves the host,
 *    and lets a local health check reach the application on the DVIPA.
 * 2. Policy routing sends a DVIPA's packets to the TUN, else into a blackhole (`policy-routing.ts`).
 * 3. The TUN is persistent and carries the DVIPAs as /32 and /128. It outlives the agent: listening sockets keep
 *    their address, applications may start while the agent is away, and connections go on when it is back.
 *    Meanwhile a TUN without a reader drops everything.
 * 4. No link answers or announces a DVIPA by ARP. Neighbour discovery needs no setting: Linux answers only on the
 *    interface that has the address, and a TUN has no neighbours.
 *
 * Every method may be repeated. Order: `install`, then the agent attaches to the TUN, `addAddresses`, work;
 * at the end `remove`, which takes the addresses first and the rules last.
 */
export class TargetGuard {
  #options: TargetGuardOptions;
  readonly #sysctls = new Sysctls();
  /** From then on it may be our own process that has the TUN. */
  #isInstalled = false;
  /** DVIPAs from which the agent may send in clear. */
  #clear: readonly string[] = [];

  constructor(options: TargetGuardOptions) {
    this.#options = options;
  }

  /**
   * Everything but the addresses. Throws if a DVIPA is configured on another interface of this host, or is an IPv6
   * address and the kernel has no IPv6, or if another process has a TUN with queues.
   */
  async install(): Promise<void> {
    const { dvipas, tun, links, mark } = this.#options;
    const ipv6Dvipa = dvipas.find((dvipa) => isIPv6(dvipa));
    if (ipv6Dvipa !== undefined && !kernelHasIpv6()) {
      throw new Error(`DVIPA ${ipv6Dvipa} is an IPv6 address, and this kernel has no IPv6`);
    }
    const stale = await this.#checkAddresses();
    for (const address of stale) await deleteTunAddress(tun.name, address);
    await this.#installRules();
    await installPolicyRouting(dvipas, mark);
    for (const link of links) {
      // 2 answers even less, 8 nothing at all; the others in between answer for the TUN's addresses.
      await this.#sysctls.set(`net/ipv4/conf/${link}/arp_ignore`, '1', ['2', '8']);
      await this.#sysctls.set(`net/ipv4/conf/${link}/arp_announce`, '2');
    }
    const hasQueues = (tun.queues ?? 1) > 1;
    const made = { ...tun, hasIpv6: ipv6Dvipa !== undefined, hasQueues, isOurs: this.#isInstalled };
    await makeTunDevice(made, this.#sysctls);
    this.#isInstalled = true;
    await routeToTun(tun.name, ipv6Dvipa !== undefined);
  }

  /**
   * Other DVIPAs, without a gap for those that stay: new ones are guarded and have no address yet (`addAddresses`), those that are
   * gone lose theirs. If that fails, what is guarded is the DVIPAs before.
   */
  async change(dvipas: readonly string[]): Promise<void> {
    const before = this.#options;
    this.#options = { ...before, dvipas };
    await this.install().catch((error: unknown) => {
      this.#options = before;
      throw error;
    });
  }

  /**
   * Whether the rules are all there: something else on the host may flush them (`nft flush ruleset` of a
   * firewall's reload, a network manager that removes foreign policy rules). Install again if not.
   */
  async isInstalled(): Promise<boolean> {
    return (
      (await hasTable(TARGET_GUARD_TABLE)) &&
      (await hasPolicyRouting(this.#options.dvipas, this.#options.mark))
    );
  }

  /** From these DVIPAs, and no others, the agent's packets may leave that are no IPsec. Costs nothing where that is so already. */
  async allowClear(dvipas: readonly string[]): Promise<void> {
    const allowed = this.#options.dvipas.filter((dvipa) => dvipas.includes(dvipa));
    if (isDeepStrictEqual(allowed, this.#clear)) return;
    this.#clear = allowed;
    await this.#installRules();
  }

  /** The DVIPAs become this host's: call it when packets can be served. */
  async addAddresses(): Promise<void> {
    const { dvipas, tun } = this.#options;
    for (const dvipa of dvipas) await addTunAddress(tun.name, dvipa);
  }

  /** New connections from and to the DVIPAs end here; the guard stays. */
  async removeAddresses(): Promise<void> {
    for (const dvipa of this.#options.dvipas) await deleteTunAddress(this.#options.tun.name, dvipa);
  }

  /** Addresses first, rules last. */
  async remove(): Promise<void> {
    await this.removeAddresses();
    await deleteTunDevice(this.#options.tun.name);
    await removePolicyRouting();
    await this.#sysctls.restore();
    await removeTable(TARGET_GUARD_TABLE);
  }

  /** Packets that the rules stopped, by rule. */
  counters(): Promise<NftCounters> {
    return readCounters(TARGET_GUARD_TABLE);
  }

  async #installRules(): Promise<void> {
    const { dvipas, tun, trustedLink, mark = AGENT_MARK } = this.#options;
    const rules = targetGuardRules(dvipas, tun.name, mark, { clear: this.#clear, trustedLink });
    await installTable(TARGET_GUARD_TABLE, rules);
  }

  /** Addresses on the TUN that are no DVIPA (any more); throws if a DVIPA is anywhere else. */
  async #checkAddresses(): Promise<string[]> {
    const { dvipas, tun } = this.#options;
    const stale: string[] = [];
    for (const link of await linkAddresses()) {
      for (const address of link.addresses) {
        if (link.name === tun.name && !dvipas.includes(address)) stale.push(address);
        if (link.name !== tun.name && dvipas.includes(address)) {
          throw new Error(
            `DVIPA ${address} is configured on ${link.name}; on a target it must be on no link`,
          );
        }
      }
    }
    return stale;
  }
}

/** The table's body. `clear`: those that distribute clear text. `trustedLink`: heard on that network only. */
export function targetGuardRules(
  dvipas: readonly string[],
  tun: string,
  mark: number,
  {
    clear = [],
    trustedLink,
  }: { readonly clear?: readonly string[]; readonly trustedLink?: LinkPlace | undefined } = {},
): string {
  const device = interfaceName(tun);
  const link = linkRules(trustedLink);
  return bothFamilies(`
  ${addressSets('dvipas', dvipas)}
  ${addressSets('clear_from', clear)}
  ${link.sets}
  counter leak_source { }
  counter leak_destination { }
  counter leak_forward { }
  counter clear_in { }
  counter stray_in { }
  counter loop { }

  chain leaving {
    oifname ${device} meta mark ${mark} counter name loop drop
    oifname { "lo", ${device} } return
    ${agentsOwn(mark)}
    meta mark ${mark} ip saddr @clear_from return
    ip saddr @dvipas counter name leak_source drop
    ip daddr @dvipas counter name leak_destination drop
  }
  chain output { type filter hook output priority 0; policy accept; jump leaving; }
  chain postrouting { type filter hook postrouting priority 300; policy accept; jump leaving; }
  chain input {
    type filter hook input priority 0; policy accept;
    iifname "lo" return
    ${link.input}
    iifname ${device} ip daddr @dvipas return
    iifname ${device} counter name stray_in drop
    ip daddr @dvipas counter name clear_in drop
  }
  chain forward {
    type filter hook forward priority 0; policy accept;
    iifname ${device} counter name leak_forward drop
    oifname ${device} counter name leak_forward drop
    ip saddr @dvipas counter name leak_forward drop
    ip daddr @dvipas counter name leak_forward drop
  }`);
}
