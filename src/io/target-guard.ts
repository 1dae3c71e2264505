import { AGENT_MARK, TARGET_GUARD_TABLE } from './guard-constants.ts';
import {
  addressSet,
  hasTable,
  installTable,
  interfaceName,
  type NftCounters,
  readCounters,
  removeTable,
} from './nft.ts';
import { hasPolicyRouting, installPolicyRouting, removePolicyRouting, routeToTun } from './policy-routing.ts';
import { CommandError, runCommand } from './run-command.ts';
import { Sysctls } from './sysctl.ts';

export interface TargetGuardOptions {
  /** IPv4 addresses as text. */
  readonly dvipas: readonly string[];
  readonly tun: { readonly name: string; readonly mtu: number };
  /** Interfaces on which this host must never answer ARP for a DVIPA. */
  readonly links: readonly string[];
  readonly mark?: number;
}

/**
 * Keeps a target's host from leaking: a DVIPA's packets go through the TUN, or not at all. Everything here
 * is state of the kernel, so it holds when the agent is killed:
 *
 * 1. nftables, in place before the DVIPA is, drop what leaves from or to a DVIPA unless it leaves by the TUN
 *    or is the agent's own (marked, UDP or ESP), and what comes to a DVIPA unless it comes from the TUN;
 *    nothing is forwarded from or to a DVIPA or the TUN. `lo` is let through: it never leaves the host,
 *    and lets a local health check reach the application on the DVIPA.
 * 2. Policy routing sends a DVIPA's packets to the TUN, else into a blackhole (`policy-routing.ts`).
 * 3. The TUN is persistent and carries the DVIPAs as /32. It outlives the agent: listening sockets keep
 *    their address, applications may start while the agent is away, and connections go on when it is back.
 *    Meanwhile a TUN without a reader drops everything.
 * 4. No link answers or announces a DVIPA by ARP.
 *
 * Every method may be repeated. Order: `install`, then the agent attaches to the TUN, `addAddresses`, work;
 * at the end `remove`, which takes the addresses first and the rules last.
 */
export class TargetGuard {
  readonly #options: TargetGuardOptions;
  readonly #sysctls = new Sysctls();

  constructor(options: TargetGuardOptions) {
    this.#options = options;
  }

  /** Everything but the addresses. Throws if a DVIPA is configured on another interface of this host. */
  async install(): Promise<void> {
    const { dvipas, tun, links, mark = AGENT_MARK } = this.#options;
    const stale = await this.#checkAddresses();
    for (const address of stale) await this.#deleteAddress(address);
    await installTable(TARGET_GUARD_TABLE, targetGuardRules(dvipas, tun.name, mark));
    await installPolicyRouting(dvipas, mark);
    for (const link of links) {
      // 2 answers even less, 8 nothing at all; the others in between answer for the TUN's addresses.
      await this.#sysctls.set(`net/ipv4/conf/${link}/arp_ignore`, '1', ['2', '8']);
      await this.#sysctls.set(`net/ipv4/conf/${link}/arp_announce`, '2');
    }
    await this.#makeTun();
    await routeToTun(tun.name);
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

  /** The DVIPAs become this host's: call it when packets can be served. */
  async addAddresses(): Promise<void> {
    const { dvipas, tun } = this.#options;
    for (const dvipa of dvipas)
      await runCommand('ip', ['address', 'replace', `${dvipa}/32`, 'dev', tun.name]);
  }

  /** New connections from and to the DVIPAs end here; the guard stays. */
  async removeAddresses(): Promise<void> {
    for (const dvipa of this.#options.dvipas) await this.#deleteAddress(dvipa);
  }

  /** Addresses first, rules last. */
  async remove(): Promise<void> {
    await this.removeAddresses();
    await runCommand('ip', ['link', 'delete', this.#options.tun.name]).catch(unlessMissing);
    await removePolicyRouting();
    await this.#sysctls.restore();
    await removeTable(TARGET_GUARD_TABLE);
  }

  /** Packets that the rules stopped, by rule. */
  counters(): Promise<NftCounters> {
    return readCounters(TARGET_GUARD_TABLE);
  }

  /** Addresses on the TUN that are no DVIPA (any more); throws if a DVIPA is anywhere else. */
  async #checkAddresses(): Promise<string[]> {
    const { dvipas, tun } = this.#options;
    const stale: string[] = [];
    for (const link of await ipv4Addresses()) {
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

  /** A device without addresses, with the MTU, up. An existing one is kept if it is a TUN. */
  async #makeTun(): Promise<void> {
    const { name, mtu } = this.#options.tun;
    await runCommand('ip', ['tuntap', 'add', 'dev', name, 'mode', 'tun']).catch(async (error: unknown) => {
      if (!(await isTun(name))) throw error;
    });
    // The largest of `all` and this one counts: loose, for inner addresses have no route but the DVIPA's.
    await this.#sysctls.set(`net/ipv4/conf/${name}/rp_filter`, '2');
    await this.#sysctls.setIfPresent(`net/ipv6/conf/${name}/disable_ipv6`, '1');
    await runCommand('ip', ['link', 'set', name, 'mtu', String(mtu), 'up']);
  }

  async #deleteAddress(address: string): Promise<void> {
    await runCommand('ip', ['address', 'delete', `${address}/32`, 'dev', this.#options.tun.name]).catch(
      unlessMissing,
    );
  }
}

/** The table's body. */
export function targetGuardRules(dvipas: readonly string[], tun: string, mark: number): string {
  const device = interfaceName(tun);
  return `
  ${addressSet('dvipas', dvipas)}
  counter leak_source { }
  counter leak_destination { }
  counter leak_forward { }
  counter clear_in { }
  counter stray_in { }
  counter loop { }

  chain leaving {
    oifname ${device} meta mark ${mark} counter name loop drop
    oifname { "lo", ${device} } return
    meta mark ${mark} meta l4proto { udp, esp } return
    ip saddr @dvipas counter name leak_source drop
    ip daddr @dvipas counter name leak_destination drop
  }
  chain output { type filter hook output priority 0; policy accept; jump leaving; }
  chain postrouting { type filter hook postrouting priority 300; policy accept; jump leaving; }
  chain input {
    type filter hook input priority 0; policy accept;
    iifname "lo" return
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
  }`;
}

async function ipv4Addresses(): Promise<{ name: string; addresses: string[] }[]> {
  const shown = JSON.parse(await runCommand('ip', ['-j', '-4', 'address', 'show'])) as {
    ifname?: string;
    addr_info?: { local: string }[];
  }[];
  return shown.flatMap(({ ifname, addr_info }) =>
    ifname === undefined ? [] : [{ name: ifname, addresses: (addr_info ?? []).map(({ local }) => local) }],
  );
}

async function isTun(name: string): Promise<boolean> {
  const [link] = JSON.parse(await runCommand('ip', ['-j', '-d', 'link', 'show', 'dev', name])) as {
    linkinfo?: { info_kind?: string; info_data?: { type?: string } };
  }[];
  return link?.linkinfo?.info_kind === 'tun' && link.linkinfo.info_data?.type === 'tun';
}

function unlessMissing(error: unknown): void {
  if (
    !(
      error instanceof CommandError &&
      /Cannot find device|Cannot assign|not found|does not exist/.test(error.stderr)
    )
  ) {
    throw error;
  }
}
