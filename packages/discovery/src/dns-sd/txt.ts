/** The properties of a service to announce; `true` is a key without a value, and `undefined` and `false` leave the key out. */
export type TxtInput = Readonly<Record<string, string | Uint8Array | boolean | undefined>>

/** RFC 6763 section 6.1: one length byte an item. */
const ITEM_MAX_BYTES = 255
/** RFC 6763 section 6.2: the size of a TXT record that is always safe. */
const TXT_MAX_BYTES = 1_300
/** RFC 6763 section 6.4: printable ASCII without '='. */
const KEY = /^[\u0020-\u003c\u003e-\u007e]+$/u

const encoder = new TextEncoder()

/** The items of a TXT record (RFC 6763 section 6). Throws TypeError with the name of the argument. */
export function txtItems (txt: TxtInput, argument: string): Uint8Array[] {
  const seen = new Set<string>()
  const items: Uint8Array[] = []
  for (const [key, value] of Object.entries(txt)) {
    if (value === undefined || value === false) continue
    if (!KEY.test(key)) throw new TypeError(`${argument}: the key ${JSON.stringify(key)} must be printable ASCII without "=".`)
    if (seen.has(key.toLowerCase())) throw new TypeError(`${argument}: the key ${JSON.stringify(key)} occurs twice; case does not count.`)
    seen.add(key.toLowerCase())
    const item = itemOf(key, value, argument)
    if (item.length > ITEM_MAX_BYTES) {
      throw new TypeError(`${argument}: ${key} has ${item.length} bytes with its value; at most ${ITEM_MAX_BYTES} fit.`)
    }
    items.push(item)
  }
  const sizeBytes = items.reduce((sum, { length }) => sum + 1 + length, 0)
  if (sizeBytes > TXT_MAX_BYTES) throw new TypeError(`${argument} has ${sizeBytes} bytes; at most ${TXT_MAX_BYTES} fit into one datagram.`)
  return items
}

function itemOf (key: string, value: unknown, argument: string): Uint8Array {
  if (value === true) return encoder.encode(key)
  if (typeof value === 'string') return encoder.encode(`${key}=${value}`)
  if (!(value instanceof Uint8Array)) {
    throw new TypeError(`${argument}: the value of ${JSON.stringify(key)} must be a string, a Uint8Array or a boolean.`)
  }
  const head = encoder.encode(`${key}=`)
  const item = new Uint8Array(head.length + value.length)
  item.set(head)
  item.set(value, head.length)
  return item
}

/** The properties of a service that was found. Keys are in lower case, because their case does not count. */
export interface ServiceProperties {
  /** Values as UTF-8 text; `true` for a key without a value. */
  readonly txt: Readonly<Record<string, string | true>>
  /** The exact bytes of the values, for those that are not text. */
  readonly txtBytes: Readonly<Record<string, Uint8Array>>
}

/** Reads the items of a TXT record. Items without a key are ignored, and of several with one key the first counts. */
export function readTxt (items: readonly Uint8Array[]): ServiceProperties {
  const found = new Map<string, Uint8Array | true>()
  const decoder = new TextDecoder()
  for (const item of items) {
    const at = item.indexOf(0x3d)
    const key = decoder.decode(at < 0 ? item : item.subarray(0, at)).toLowerCase()
    if (key === '' || found.has(key)) continue
    found.set(key, at < 0 ? true : item.slice(at + 1))
  }
  // This creates properties of the object itself, also for a key such as __proto__ that a peer has chosen.
  return {
    txt: Object.fromEntries([...found].map(([key, value]) => [key, value === true ? value : decoder.decode(value)])),
    txtBytes: Object.fromEntries([...found].flatMap(([key, value]) => value === true ? [] : [[key, value]])),
  }
}
