import { setTimeout as delay } from 'node:timers/promises';
import { readFile } from 'node:fs/promises';
import { PacketVector } from '../dataplane/vector.ts';
import { equalAddresses, isIpv4, type IpAddress } from '../packet/address.ts';
import { encodeArpProbe, parseArpClaim } from '../packet/arp.ts';
import { ETHERTYPE, formatLinkAddress, parseLinkAddress } from '../packet/ethernet.ts';
import { encodeDuplicateProbe, parseAdvertisement } from '../packet/neighbour-discovery.ts';
import { Endpoint } from './endpoint.ts';
import { packetIo } from './native.ts';

/** As RFC 5227 section 2.1.1 has it, only faster: we wait for a network of our own, not for a stranger's Wi-Fi. */
const PROBES = 3;
const PROBE_MS = 250;
const FRAMES = 64;

/**
 * Asks the network on an interface who has an address, as a host does that wants to take it: ARP probes, or neighbour solicitations
 * from no address. Resolves with the link addresses of all that answer; this very host's kernel hears none of it. Rejects with the
 * errno as `code` without CAP_NET_RAW or without such an interface, and if the interface has no Ethernet.
 */
export async function whoHas(interfaceName: string, address: IpAddress): Promise<string[]> {
  const own = await linkAddress(interfaceName);
  const isArp = isIpv4(address);
  const probe = isArp ? encodeArpProbe(own, address) : encodeDuplicateProbe(own, address);
  const endpoint = new Endpoint(packetIo().linkOpen(interfaceName, isArp ? ETHERTYPE.ARP : ETHERTYPE.IPV6));
  const owners = new Set<string>();
  try {
    for (let probes = 0; probes < PROBES; probes++) {
      send(endpoint, probe);
      await delay(PROBE_MS);
      for (const frame of framesOf(endpoint)) {
        const claim = isArp ? parseArpClaim(frame) : parseAdvertisement(frame);
        if (claim === undefined || !equalAddresses(claim.address, 0, address, 0)) continue;
        if (!claim.link.equals(own)) owners.add(formatLinkAddress(claim.link));
      }
    }
  } finally {
    endpoint.close();
  }
  return [...owners].toSorted();
}

async function linkAddress(interfaceName: string): Promise<Buffer> {
  const text = (await readFile(`/sys/class/net/${interfaceName}/address`, 'latin1')).trim();
  const address = parseLinkAddress(text);
  if (address === undefined) throw new Error(`${interfaceName} has no Ethernet address`);
  return address;
}

function send(endpoint: Endpoint, frame: Buffer): void {
  const vector = new PacketVector(1);
  vector.push(frame);
  endpoint.send(vector);
}

/** What has come, at most `FRAMES`. */
function framesOf(endpoint: Endpoint): Buffer[] {
  const vector = new PacketVector(FRAMES);
  endpoint.receive(vector);
  return Array.from({ length: vector.count }, (_, i) => vector.packet(i));
}
