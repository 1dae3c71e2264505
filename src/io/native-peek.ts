import { verdictOf } from '../base/verdict.ts';
import type { PeekMethod } from '../ipsec/algorithms.ts';
import { EspContext } from '../ipsec/esp-context.ts';
import type { EspKeys } from '../ipsec/packet-crypto.ts';
import type { PeekCipher, PeekedPackets, PeekedSpans } from '../ipsec/peek-cipher.ts';
import { Bindings } from './bindings.ts';
import { nativeCrypto } from './native-crypto.ts';
import type { NativePeeked, NativePeekTable } from './native-peek-table.ts';
import { SlotKeys } from './slot-keys.ts';

/** In the order of `refusal_t` in peek.c. */
const REFUSALS = ['unknown-spi', 'truncated'] as const;
/** As the addon numbers them. */
const METHODS: readonly PeekMethod['method'][] = ['counter', 'cbc', 'chacha20', 'clear'];

/** Peeks with the addon packet-crypto: one call for a batch of any number of SAs. */
export class NativePeek implements PeekCipher {
  readonly #native = nativeCrypto();
  readonly #table: NativePeekTable = this.#native.peekCreate(Uint8Array.from(REFUSALS, verdictOf));
  readonly #bindings = new Bindings<PeekedPackets, NativePeeked>();
  readonly #keys = new SlotKeys((slot) => this.#native.peekRemove(this.#table, slot));

  install(saSlot: number, keys: EspKeys, leadBlocks: number): void {
    const { spi, suite, key, salt } = new EspContext(keys);
    const { peek, ivBytes } = suite.encryption;
    const first = 'first' in peek ? peek.first : 0;
    const method = METHODS.indexOf(peek.method);
    const shape = Uint32Array.of(spi, method, ivBytes, suite.icvBytes, leadBlocks, first);
    const prefix = Buffer.concat([Buffer.from('lead' in peek ? peek.lead : []), salt]);
    this.#native.peekInstall(this.#table, saSlot, shape, prefix, key);
    prefix.fill(0);
    this.#keys.installed(saSlot, keys.encryption.key, keys.integrity?.key);
  }

  remove(saSlot: number): void {
    this.#keys.remove(saSlot);
  }

  decrypt(batch: PeekedPackets, spans: PeekedSpans): void {
    const bound = this.#bindings.known(batch, spans.plain) ?? this.#bind(batch, spans);
    this.#native.peekDecrypt(bound, batch.count);
  }

  decryptLong(batch: PeekedPackets, i: number, out: Buffer): void {
    this.#native.peekDecryptLong(
      this.#table,
      batch.slab,
      batch.espOffset[i] as number,
      batch.espLength[i] as number,
      batch.saSlot[i] as number,
      out,
    );
  }

  #bind(batch: PeekedPackets, spans: PeekedSpans): NativePeeked {
    const { slab, espOffset, espLength, saSlot, verdict } = batch;
    const { plain, innerBytes, available } = spans;
    const bound = this.#native.peekBind(
      this.#table,
      slab,
      espOffset,
      espLength,
      saSlot,
      verdict,
      plain,
      innerBytes,
      available,
    );
    return this.#bindings.keep(batch, plain, bound);
  }
}
