const BINARY = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

/** `1023 B`, `1.5 MiB`; exact below 1 KiB. `--json` has the exact number. */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  // 1023.95 would be printed as 1024.0.
  while (value >= (unit === 0 ? 1024 : 1023.95) && unit < BINARY.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${BINARY[unit]}`;
}

/** `250 ms`, `12 s`, `3 m 20 s`, `5 h 2 m`, `3 d 4 h`; undefined: `-`. */
export function formatDuration(durationMs: number | undefined): string {
  if (durationMs === undefined) return '-';
  if (durationMs < 1000) return `${Math.round(durationMs)} ms`;
  const seconds = Math.floor(durationMs / 1000);
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} m ${seconds % 60} s`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} m`;
  return `${Math.floor(seconds / 86_400)} d ${Math.floor((seconds % 86_400) / 3600)} h`;
}

/** Use against a limit: `1.2 MiB of 4.0 MiB soft, 5.0 MiB hard`. */
export function formatUse(
  used: number,
  limit: { readonly soft: number; readonly hard: number },
  format: (value: number) => string,
): string {
  const parts = [
    ...(limit.soft > 0 ? [`${format(limit.soft)} soft`] : []),
    ...(limit.hard > 0 ? [`${format(limit.hard)} hard`] : []),
  ];
  return parts.length === 0 ? format(used) : `${format(used)} of ${parts.join(', ')}`;
}

const PROTOCOLS: Readonly<Record<number, string>> = { 1: 'icmp', 6: 'tcp', 17: 'udp' };

export function formatProtocol(protocol: number): string {
  return PROTOCOLS[protocol] ?? String(protocol);
}
