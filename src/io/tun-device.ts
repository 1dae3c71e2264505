import { isIPv6 } from 'node:net';
import { CommandError, runCommand } from './run-command.ts';
import type { Sysctls } from './sysctl.ts';

export interface TunDeviceOptions {
  readonly name: string;
  readonly mtu: number;
  /** Whether IPv6 is on: only where an IPv6 address comes, for IPv6 speaks unasked. */
  readonly hasIpv6: boolean;
  /** Whether it may have several queues (IFF_MULTI_QUEUE), which a device is told once, when it is made. */
  readonly hasQueues: boolean;
  /** Whether it is this process that may have it already. */
  readonly isOurs: boolean;
}

/**
 * Makes a TUN without addresses, with the MTU, up. An existing device is kept, with its addresses: as it is, or made anew if it is of
 * the other kind and nobody reads it. Where the kernel has no queues the device has none. Throws an Error with `code` `EBUSY` if it is
 * about queues and another process reads the device: with queues the kernel would let both have it.
 */
export async function makeTunDevice(options: TunDeviceOptions, sysctls: Sysctls): Promise<void> {
  const { name, mtu, hasIpv6, hasQueues, isOurs } = options;
  const found = await findTun(name);
  if (found?.isRead === true && !isOurs && (hasQueues || found.hasQueues)) {
    throw Object.assign(new Error(`the TUN ${name} is in use by another process`), { code: 'EBUSY' });
  }
  const isOther = found !== undefined && found.hasQueues !== hasQueues && !found.isRead;
  if (isOther) await deleteTunDevice(name);
  if (found === undefined || isOther) await addTun(name, hasQueues);
  // First: under 1280 a device has no IPv6 and no settings of it.
  await runCommand('ip', ['link', 'set', name, 'mtu', String(mtu)]);
  // The largest of `all` and this one counts: loose, for inner addresses have no route but the DVIPA's.
  await sysctls.set(`net/ipv4/conf/${name}/rp_filter`, '2');
  if (hasIpv6) await enableIpv6(name, sysctls);
  else await sysctls.setIfPresent(`net/ipv6/conf/${name}/disable_ipv6`, '1');
  await runCommand('ip', ['link', 'set', name, 'up']);
  if (isOther) for (const address of found.addresses) await addTunAddress(name, address);
}

async function addTun(name: string, hasQueues: boolean): Promise<void> {
  const add = (...flags: string[]) =>
    runCommand('ip', ['tuntap', 'add', 'dev', name, 'mode', 'tun', ...flags]);
  if (!hasQueues) await add();
  else await add('multi_queue').catch(() => add()); // `Tun` says that it has one queue only
}

/** IPv6 that says nothing by itself: no link-local address, no router solicitation, no multicast listener report. */
async function enableIpv6(name: string, sysctls: Sysctls): Promise<void> {
  const setting = (key: string) => `net/ipv6/conf/${name}/${key}`;
  await runCommand('ip', ['link', 'set', name, 'addrgenmode', 'none']);
  // A router joined a multicast group when the device came; leaving it is not reported in MLD version 1 (RFC 2710 section 4),
  // as nobody heard of the joining.
  await sysctls.set(setting('force_mld_version'), '1');
  await sysctls.set(setting('forwarding'), '0');
  await sysctls.set(setting('accept_ra'), '0');
  await sysctls.set(setting('autoconf'), '0');
  // As IPv4 does: a link that goes down and up again has its addresses still.
  await sysctls.set(setting('keep_addr_on_down'), '1');
  await sysctls.set(setting('disable_ipv6'), '0');
}

/** Twice is harmless. */
export async function deleteTunDevice(name: string): Promise<void> {
  await runCommand('ip', ['link', 'delete', name]).catch(unlessMissing);
}

/** Gives the TUN an address of its own; twice is harmless. There is nobody to ask for duplicates. */
export async function addTunAddress(name: string, address: string): Promise<void> {
  const flags = isIPv6(address) ? ['nodad'] : [];
  await runCommand('ip', ['address', 'replace', hostPrefix(address), 'dev', name, ...flags]);
}

/** Nothing happens if the device or the address is not there. */
export async function deleteTunAddress(name: string, address: string): Promise<void> {
  await runCommand('ip', ['address', 'delete', hostPrefix(address), 'dev', name]).catch(unlessMissing);
}

/** The addresses of every interface of this host, of both families. */
export async function linkAddresses(): Promise<{ name: string; addresses: string[] }[]> {
  const shown = JSON.parse(await runCommand('ip', ['-j', 'address', 'show'])) as {
    ifname?: string;
    addr_info?: { local: string }[];
  }[];
  return shown.flatMap(({ ifname, addr_info }) =>
    ifname === undefined ? [] : [{ name: ifname, addresses: (addr_info ?? []).map(({ local }) => local) }],
  );
}

function hostPrefix(address: string): string {
  return `${address}/${isIPv6(address) ? 128 : 32}`;
}

interface FoundTun {
  readonly hasQueues: boolean;
  /** Known of a device that is up: it has a carrier while somebody is attached. */
  readonly isRead: boolean;
  readonly addresses: readonly string[];
}

/** Undefined if there is no such device; throws if it is no TUN. */
async function findTun(name: string): Promise<FoundTun | undefined> {
  const shown = await runCommand('ip', ['-j', '-d', 'address', 'show', 'dev', name]).catch(
    (error: unknown) => {
      unlessMissing(error);
      return undefined;
    },
  );
  if (shown === undefined) return undefined;
  const [link] = JSON.parse(shown) as {
    flags: string[];
    linkinfo?: { info_kind?: string; info_data?: { type?: string; multi_queue?: boolean } };
    addr_info: { local: string }[];
  }[];
  const tun = link?.linkinfo?.info_kind === 'tun' ? link.linkinfo.info_data : undefined;
  if (link === undefined || tun?.type !== 'tun') throw new Error(`the interface ${name} is no TUN`);
  return {
    hasQueues: tun.multi_queue === true,
    isRead: link.flags.includes('LOWER_UP'),
    addresses: link.addr_info.map(({ local }) => local),
  };
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
