/** Holes are detected in blocks of this size, which most file systems use. */
const BLOCK_BYTES = 4096
/** A shorter run of zeros is sent as data, because a message for it would cost more than it saves. */
const HOLE_BYTES = 64 << 10

/** Length of the hole at the start of a piece: a long run of zeros, or the whole piece if it is all zeros. */
export function holeAtStart (piece: Uint8Array): number {
  const zeros = zerosFrom(piece, 0)
  if (zeros === piece.length) return zeros
  return zeros < HOLE_BYTES ? 0 : zeros - zeros % BLOCK_BYTES
}

/** Length of the data before the first hole of a piece that does not start with one. */
export function dataAtStart (piece: Uint8Array): number {
  for (let at = 0; at < piece.length; at += BLOCK_BYTES) {
    const zeros = zerosFrom(piece, at)
    if (zeros >= HOLE_BYTES) return at
    at += zeros - zeros % BLOCK_BYTES
  }
  return piece.length
}

/** Length of the run of zeros from an offset. */
function zerosFrom (piece: Uint8Array, from: number): number {
  let at = from
  const start = piece.byteOffset + from
  if (start % 4 === 0) {
    // Four bytes at a time take a quarter of the time.
    const words = new Uint32Array(piece.buffer, start, (piece.length - from) >> 2)
    let word = 0
    while (word < words.length && words[word] === 0) word++
    at += 4 * word
  }
  while (at < piece.length && piece[at] === 0) at++
  return at - from
}
