interface Usage {
  readonly packets: number;
  readonly bytes: number;
}

/** No inner packet is longer. */
const MAX_PACKET_BYTES = 65_535;

/** A cumulative outbound report, as far as it can be true: a packet needs a number (invariant 9, with or without a hard limit). */
export function capByNumbers<Report extends Usage>(report: Report, usable: number | undefined): Report {
  if (usable === undefined || report.packets <= usable) return capBytes(report);
  return capBytes({ ...report, packets: usable });
}

function capBytes<Report extends Usage>(report: Report): Report {
  const most = report.packets * MAX_PACKET_BYTES;
  return report.bytes <= most ? report : { ...report, bytes: most };
}
