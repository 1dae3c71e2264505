import { CAPTURE_POINTS, type CapturePoint } from '../dataplane/packet-tap.ts';
import {
  enhancedPacket,
  interfaceDescription,
  interfaceStatistics,
  sectionHeader,
} from '../packet/pcapng.ts';
import type { CaptureItem } from './capture-item.ts';

/**
 * Items of a capture as a pcapng file. Every point is an interface, described when its first packet comes. Losses are of the
 * capture as a whole: they stand with the packet behind them, and in the statistics of its interface.
 */
export class CaptureFile {
  readonly #numbers = new Map<CapturePoint, number>();
  readonly #received: number[] = [];
  readonly #lostAt: number[] = [];
  readonly #snapLength: number;
  #lost = 0;
  #lastTime = 0n;

  constructor(snapLength: number) {
    this.#snapLength = snapLength;
  }

  get packets(): number {
    return this.#received.reduce((sum, count) => sum + count, 0);
  }

  get lost(): number {
    return this.#lost;
  }

  /** The file's first block. */
  begin(application: string): Buffer {
    return sectionHeader(application);
  }

  /** The blocks of one packet. Throws a RangeError on a point that there is not. */
  packet({ point, time, bytes, length, comment, lost }: CaptureItem): Buffer {
    if (!CAPTURE_POINTS.includes(point)) throw new RangeError(`no such point: ${point}`);
    const blocks: Buffer[] = [];
    let number = this.#numbers.get(point);
    if (number === undefined) {
      number = this.#numbers.size;
      this.#numbers.set(point, number);
      blocks.push(interfaceDescription(point, this.#snapLength));
    }
    const lostBefore = Math.max(0, lost - this.#lost);
    this.#lost = Math.max(this.#lost, lost);
    this.#received[number] = (this.#received[number] ?? 0) + 1;
    this.#lostAt[number] = (this.#lostAt[number] ?? 0) + lostBefore;
    this.#lastTime = BigInt(time);
    blocks.push(
      enhancedPacket({
        interface: number,
        time: this.#lastTime,
        bytes: Buffer.from(bytes, 'base64'),
        wholeBytes: length,
        comment,
        lost: lostBefore,
      }),
    );
    return Buffer.concat(blocks);
  }

  /** The file's last blocks. */
  end(): Buffer {
    return Buffer.concat(
      [...this.#numbers.values()].map((number) =>
        interfaceStatistics(number, this.#lastTime, {
          received: this.#received[number] ?? 0,
          lost: this.#lostAt[number] ?? 0,
        }),
      ),
    );
  }
}
