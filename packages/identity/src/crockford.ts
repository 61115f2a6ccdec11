/** Douglas Crockford's Base 32: without I, L, O and U, so that no two symbols look alike. */
const SYMBOLS = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'

const VALUES = new Map([...SYMBOLS].map((symbol, value) => [symbol, value]))

/** The value of one symbol, 0 to 31, or undefined. */
export function symbolValue (symbol: string): number | undefined {
  return VALUES.get(symbol)
}

/** The symbol of a value of 5 bits. */
export function symbolOf (value: number): string {
  return SYMBOLS.charAt(value & 31)
}

/** Typed or pasted text as symbols: in upper case, without spaces and hyphens, and with look-alikes replaced. */
export function normalizeSymbols (text: string): string {
  return text.replace(/[\s-]/gu, '').toUpperCase().replace(/O/gu, '0').replace(/[IL]/gu, '1')
}

/** Bytes as symbols, most significant bit first; the last symbol is padded with zero bits. */
export function encodeSymbols (bytes: Uint8Array): string {
  let text = ''
  let held = 0
  let bits = 0
  for (const byte of bytes) {
    held = (held << 8) | byte
    bits += 8
    for (; bits >= 5; bits -= 5) text += symbolOf(held >> (bits - 5))
    held &= (1 << bits) - 1
  }
  return bits === 0 ? text : text + symbolOf(held << (5 - bits))
}

/** The bytes of symbols, or undefined if they are not what {@link encodeSymbols} returns for `sizeBytes` bytes. */
export function decodeSymbols (symbols: string, sizeBytes: number): Uint8Array<ArrayBuffer> | undefined {
  if (symbols.length !== Math.ceil(sizeBytes * 8 / 5)) return undefined
  const bytes = new Uint8Array(sizeBytes)
  let held = 0
  let bits = 0
  let at = 0
  for (const symbol of symbols) {
    const value = symbolValue(symbol)
    if (value === undefined) return undefined
    held = (held << 5) | value
    bits += 5
    if (bits >= 8) {
      bits -= 8
      bytes[at++] = held >> bits
      held &= (1 << bits) - 1
    }
  }
  return held === 0 ? bytes : undefined
}

/** Symbols in groups, separated by hyphens. */
export function groupSymbols (symbols: string, size: number): string {
  return symbols.match(new RegExp(`.{1,${String(size)}}`, 'gu'))?.join('-') ?? ''
}
