import { closeSync, openSync, readFileSync } from 'node:fs';
import { chooseCryptoLibrary } from '../../io/crypto-library.ts';
import { packetIo } from '../../io/native.ts';
import { missingCapabilities } from '../../io/capabilities.ts';
import { runCommand } from '../../io/run-command.ts';
import { kernelHasIpv6 } from '../../io/sysctl.ts';
import type { Finding } from '../finding.ts';
import { judgeKernel } from '../judge/kernel.ts';
import { outcomeOf } from './outcome.ts';
import { dvipasOf, endpointsOf, type Situation } from './situation.ts';

const ETHERTYPE_ARP = 0x0806;

export async function lookAtKernel({ config }: Situation): Promise<Finding[]> {
  const addresses = [...new Set([...dvipasOf(config), ...endpointsOf(config)])];
  return judgeKernel({
    missingCapabilities: missingCapabilities(readFileSync('/proc/self/status', 'utf8')),
    addon: await outcomeOf(() => packetIo()),
    crypto: { ...chooseCryptoLibrary(config.crypto.library), wanted: config.crypto.library },
    tun:
      config.role === 'target' ? await outcomeOf(() => closeSync(openSync('/dev/net/tun', 'r+'))) : undefined,
    packetSocket: await outcomeOf(() => {
      const io = packetIo();
      io.close(io.linkOpen('lo', ETHERTYPE_ARP));
    }),
    nftables: await outcomeOf(() => runCommand('nft', ['-j', 'list', 'tables'])),
    hasIpv6: kernelHasIpv6(),
    ipv6Addresses: addresses.filter((address) => address.includes(':')),
  });
}
