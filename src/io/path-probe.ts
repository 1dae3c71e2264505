import { CommandError, runCommand } from './run-command.ts';

/** IPv4 and ICMP echo headers. */
const HEADER_BYTES = 28;

/** `fits`, or what `ping` says of a packet of this size that may not be cut. */
export type PathFit = 'fits' | 'too-big' | 'no-answer' | 'no-ping';

/** Sends echo requests of `packetBytes`, header included and with DF, to an IPv4 host. */
export async function probePath(address: string, packetBytes: number): Promise<PathFit> {
  const size = String(packetBytes - HEADER_BYTES);
  try {
    await runCommand('ping', [
      '-n',
      '-q',
      '-M',
      'do',
      '-c',
      '2',
      '-i',
      '0.2',
      '-W',
      '1',
      '-s',
      size,
      address,
    ]);
    return 'fits';
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    const { cause } = error;
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return 'no-ping';
    return /too long|Frag needed|mtu/i.test(`${error.stderr} ${error.message}`) ? 'too-big' : 'no-answer';
  }
}
