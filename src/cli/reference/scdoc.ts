/** Plain text in scdoc's language, which reads asterisks and underscores anywhere, others at the begin of a line. */
export function scdocText(plain: string): string {
  return plain.replaceAll(/[\\*_]|^[-.#;|\]]/g, String.raw`\$&`);
}
