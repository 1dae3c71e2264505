const MAGIC = 0xa1b2c3d4;
/** Packets begin with an IP header. */
const LINK_TYPE_RAW = 101;

/** IP packets as a classic pcap file, one second apart. */
export function pcapOf(packets: readonly Buffer[]): Buffer {
  const head = Buffer.alloc(24);
  head.writeUInt32LE(MAGIC, 0);
  head.writeUInt16LE(2, 4);
  head.writeUInt16LE(4, 6);
  head.writeUInt32LE(262_144, 16);
  head.writeUInt32LE(LINK_TYPE_RAW, 20);
  const records = packets.flatMap((packet, second) => {
    const record = Buffer.alloc(16);
    record.writeUInt32LE(second, 0);
    record.writeUInt32LE(packet.length, 8);
    record.writeUInt32LE(packet.length, 12);
    return [record, packet];
  });
  return Buffer.concat([head, ...records]);
}
