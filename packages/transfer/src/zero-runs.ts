/** Zeros are looked for in blocks of this size, which is that of most file systems. */
const BLOCK_BYTES = 4096
/** A shorter run of zeros is sent as data: a message of its own would cost more than it saves. */
const HOLE_BYTES = 64 << 10

/** How many bytes at the start of a piece are a hole: a long run of zeros, or nothing but zeros. */
export function holeAtStart (piece: Uint8Array): number {
  const zeros = zerosFrom(piece, 0)
  if (zeros === piece.length) return zeros
  return zeros < HOLE_BYTES ? 0 : zeros - zeros % BLOCK_BYTES
}

/** How many bytes of a piece that does not begin with a hole come before one. */
export function dataAtStart (piece: Uint8Array): number {
  for (let at = 0; at < piece.length; at += BLOCK_BYTES) {
    const zeros = zerosFrom(piece, at)
    if (zeros >= HOLE_BYTES) return at
    at += zeros - zeros % BLOCK_BYTES
  }
  return piece.length
}

/** The length of the run of zeros from a place on. */
function zerosFrom (piece: Uint8Array, from: number): number {
  let at = from
  const start = piece.byteOffset + from
  if (start % 4 === 0) {
    // Four bytes at a time, which takes a fourth of the time.
    const words = new Uint32Array(piece.buffer, start, (piece.length - from) >> 2)
    let word = 0
    while (word < words.length && words[word] === 0) word++
    at += 4 * word
  }
  while (at < piece.length && piece[at] === 0) at++
  return at - from
}
