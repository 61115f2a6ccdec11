import { isFileSyncError } from '../../src/index.ts'

/** The code that a call is refused with, or 'accepted'. An error that is not of the catalogue is thrown on. */
export function refusal (call: () => unknown): string {
  try {
    const result = call()
    // Generators refuse when they are drawn from.
    if (typeof result === 'object' && result !== null && Symbol.iterator in result) for (const _ of result as Iterable<unknown>);
    return 'accepted'
  } catch (error) {
    if (isFileSyncError(error)) return error.code
    throw error
  }
}

/** The code that a promise is rejected with, or 'resolved'. */
export async function rejection (work: Promise<unknown>): Promise<string> {
  try {
    await work
    return 'resolved'
  } catch (error) {
    if (isFileSyncError(error)) return error.code
    throw error
  }
}

/** Bytes from hex; blanks are for the reader. */
export function fromHex (hex: string): Uint8Array<ArrayBuffer> {
  const digits = hex.replaceAll(/\s/gu, '')
  return Uint8Array.from({ length: digits.length / 2 }, (_, i) => Number.parseInt(digits.slice(i * 2, i * 2 + 2), 16))
}

/** Pieces as one. */
export function join (pieces: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0))
  let at = 0
  for (const piece of pieces) {
    whole.set(piece, at)
    at += piece.length
  }
  return whole
}
