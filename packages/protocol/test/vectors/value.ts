/** Values in JSON: bytes as `{"hex": "…"}`, big integers as `{"int": "…"}`. */
export function toJson (value: unknown): unknown {
  if (value instanceof Uint8Array) return { hex: Buffer.from(value).toString('hex') }
  if (typeof value === 'bigint') return { int: value.toString() }
  if (Array.isArray(value)) return value.map(toJson)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, field]) => [key, toJson(field)]))
}

/** The inverse of {@link toJson}. */
export function fromJson (value: unknown): unknown {
  if (Array.isArray(value)) return value.map(fromJson)
  if (typeof value !== 'object' || value === null) return value
  if ('hex' in value && typeof value.hex === 'string') return new Uint8Array(Buffer.from(value.hex, 'hex'))
  if ('int' in value && typeof value.int === 'string') return BigInt(value.int)
  return Object.fromEntries(Object.entries(value).map(([key, field]) => [key, fromJson(field)]))
}
