import { createCipheriv, createHash } from 'node:crypto';

const CHUNK_BYTES = 64 * 1024;
/** Far below a segment's size, so that nearly every packet of the stream holds the whole marker. */
export const MARKER_EVERY_BYTES = 512;

/**
 * The bytes that the lab's web servers send for `/bytes/COUNT`: the same on every host and in every run (a keystream
 * of AES-CTR under a constant key: it looks like noise to any compressor or pattern on the way), with `marker`
 * written over it every 512 bytes.
 */
export function* byteStream(count: number, marker = ''): Generator<Buffer> {
  if (Buffer.byteLength(marker) > MARKER_EVERY_BYTES)
    throw new RangeError('marker is longer than its distance');
  const cipher = createCipheriv('aes-128-ctr', Buffer.alloc(16, 'lab'), Buffer.alloc(16));
  const zeros = Buffer.alloc(CHUNK_BYTES);
  for (let sent = 0; sent < count; sent += CHUNK_BYTES) {
    const chunk = cipher.update(zeros).subarray(0, count - sent);
    for (let at = 0; at < chunk.length; at += MARKER_EVERY_BYTES) chunk.write(marker, at, 'latin1');
    yield chunk;
  }
}

/** SHA-256 of {@link byteStream}, in hex. */
export function byteStreamSha256(count: number, marker = ''): string {
  const hash = createHash('sha256');
  for (const chunk of byteStream(count, marker)) hash.update(chunk);
  return hash.digest('hex');
}
