import { execFileSync } from 'node:child_process';

/** How `openssl speed` is asked for a cipher: encryption, and what it wants besides to decrypt. AES of the longest key, if `keyBits` does not say. */
const CIPHERS: Readonly<Record<string, (keyBits: string) => readonly string[]>> = {
  'AES-CBC': (bits) => ['-evp', `aes-${bits}-cbc`],
  'AES-CTR': (bits) => ['-evp', `aes-${bits}-ctr`],
  'AES-CCM': (bits) => ['-evp', `aes-${bits}-ccm`],
  'AES-GCM': (bits) => ['-evp', `aes-${bits}-gcm`],
  // GMAC is GCM that encrypts nothing: what is left is GHASH.
  'NULL-AES-GMAC': () => ['ghash'],
  'CHACHA20-POLY1305': () => ['-evp', 'chacha20-poly1305'],
};

const MACS: Readonly<Record<string, readonly string[]>> = {
  'HMAC-SHA1-96': ['-hmac', 'sha1'],
  'HMAC-SHA2-256-128': ['-hmac', 'sha256'],
  'HMAC-SHA2-384-192': ['-hmac', 'sha384'],
  'HMAC-SHA2-512-256': ['-hmac', 'sha512'],
  // XCBC and CMAC differ in their last block only.
  'AES-XCBC-96': ['-cmac', 'aes-128-cbc'],
  'AES-CMAC-96': ['-cmac', 'aes-128-cbc'],
};

/** The suites that name a piece want the same figure of it. */
const measured = new Map<string, number>();

/** From now on everything is measured anew: a round of its own. */
export function forgetSpeeds(): void {
  measured.clear();
}

/**
 * Nanoseconds that `openssl speed` takes for so many bytes, cipher and MAC one after the other, by processor time: what else runs meanwhile
 * is not in it. `name` is a suite as this bench calls it: `AES-CBC/256 HMAC-SHA1-96`.
 */
export function opensslSpeed(name: string, way: 'open' | 'seal', bytes: number): number {
  const [cipher = '', mac] = name.split(' ');
  const [algorithm = '', keyBits = '256'] = cipher.split('/');
  const pieces: (readonly string[])[] = [];
  const ofCipher = CIPHERS[algorithm] ?? CIPHERS[algorithm.replace(/-(8|12|16)$/, '')]; // the ICV's length makes no difference
  if (ofCipher !== undefined) {
    // Only what has no ICV of its own is asked to decrypt: AEAD ciphers cost the same both ways, and speed gives them no tag to check.
    const isPlain = mac !== undefined && way === 'open';
    pieces.push([...(isPlain ? ['-decrypt'] : []), ...ofCipher(keyBits)]);
  } else if (algorithm !== 'NULL') throw new Error(`openssl speed knows no ${algorithm}`);
  if (mac !== undefined) {
    const ofMac = MACS[mac];
    if (ofMac === undefined) throw new Error(`openssl speed knows no ${mac}`);
    pieces.push(ofMac);
  }
  return pieces.reduce((sum, piece) => sum + nanoseconds(piece, bytes), 0);
}

function nanoseconds(piece: readonly string[], bytes: number): number {
  const argv = ['speed', '-mr', '-bytes', `${bytes}`, '-seconds', '1', ...piece];
  const key = argv.join(' ');
  const known = measured.get(key);
  if (known !== undefined) return known;
  const said = execFileSync('openssl', argv, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  const bytesPerSecond = Number(said.trim().split(':').at(-1));
  if (!(bytesPerSecond > 0)) throw new Error(`openssl ${key} said: ${said}`);
  const time = (bytes / bytesPerSecond) * 1e9;
  measured.set(key, time);
  return time;
}
