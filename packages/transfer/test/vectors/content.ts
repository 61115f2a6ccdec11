/**
 * The content that the vectors encode: the lowest byte of each output of SplitMix32, as docs/protocol.md specifies. The vectors
 * depend on this generator, so it stays.
 */
export function vectorContent (seed: number, sizeBytes: number): Uint8Array<ArrayBuffer> {
  const content = new Uint8Array(sizeBytes)
  let state = seed
  for (let i = 0; i < sizeBytes; i++) {
    state = (state + 0x9e3779b9) | 0
    let mixed = state
    mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b)
    mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35)
    content[i] = mixed ^ (mixed >>> 16)
  }
  return content
}
