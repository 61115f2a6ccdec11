/** The bytes of an IPv4 or IPv6 address, most significant first; undefined where the text is none. A zone is ignored. */
export function parseAddress (text: string): Uint8Array | undefined {
  const [address = '', ...rest] = text.split('%')
  if (rest.length > 1) return undefined
  return address.includes(':') ? parseIpv6(address) : rest.length === 0 ? parseIpv4(address) : undefined
}

function parseIpv4 (text: string): Uint8Array | undefined {
  const parts = text.split('.')
  if (parts.length !== 4 || !parts.every(part => /^(0|[1-9]\d{0,2})$/u.test(part) && Number(part) <= 255)) return undefined
  return Uint8Array.from(parts, Number)
}

/** RFC 4291 2.2: eight groups, one run of zero groups may be `::`, the last two may be written as IPv4. */
function parseIpv6 (text: string): Uint8Array | undefined {
  const halves = text.split('::')
  if (halves.length > 2) return undefined
  const [head, tail] = halves.map((half, index) => parseGroups(half, index === halves.length - 1))
  if (head === undefined || (halves.length === 2 && tail === undefined)) return undefined
  const bytes = new Uint8Array(16)
  if (tail === undefined) {
    if (head.length !== 16) return undefined
  } else if (head.length + tail.length > 14) {
    return undefined
  }
  bytes.set(head)
  if (tail !== undefined) bytes.set(tail, 16 - tail.length)
  return bytes
}

function parseGroups (text: string, endsAddress: boolean): number[] | undefined {
  if (text === '') return []
  const groups = text.split(':')
  const bytes: number[] = []
  for (const [index, group] of groups.entries()) {
    const embedded = endsAddress && index === groups.length - 1 && group.includes('.') ? parseIpv4(group) : undefined
    if (embedded !== undefined) {
      bytes.push(...embedded)
    } else if (/^[0-9a-f]{1,4}$/iu.test(group)) {
      const value = Number.parseInt(group, 16)
      bytes.push(value >> 8, value & 0xff)
    } else {
      return undefined
    }
  }
  return bytes
}

/** Whether two texts are the same address, however written. Zones are ignored. */
export function sameAddress (left: string, right: string): boolean {
  const [a, b] = [parseAddress(left), parseAddress(right)]
  return a !== undefined && b !== undefined && a.length === b.length && sharesPrefix(a, b, a.length * 8)
}

export function isLoopback (text: string): boolean {
  const bytes = parseAddress(text)
  if (bytes === undefined) return false
  return bytes.length === 4 ? bytes[0] === 127 : sameAddress(text, '::1')
}

/** The part of a link that determines its subnet. */
export interface Subnet {
  /** Any address of it, without a zone. */
  readonly address: string
  readonly prefixLength: number
  /** Of its interface, in link-local IPv6 addresses. */
  readonly zone: string
}

/** Whether an address is in the subnet of a link, and for IPv6 was heard on its interface: then no router is in between. */
export function isOnLink (address: string, link: Subnet): boolean {
  const [theirs, ours] = [parseAddress(address), parseAddress(link.address)]
  if (theirs === undefined || ours === undefined || theirs.length !== ours.length) return false
  const zone = address.split('%')[1]
  if (zone !== undefined && zone !== link.zone) return false
  return sharesPrefix(theirs, ours, link.prefixLength)
}

function sharesPrefix (left: Uint8Array, right: Uint8Array, bits: number): boolean {
  for (let index = 0; index < left.length; index++) {
    const kept = Math.min(8, Math.max(0, bits - index * 8))
    const mask = (0xff << (8 - kept)) & 0xff
    if (((left[index] ?? 0) & mask) !== ((right[index] ?? 0) & mask)) return false
  }
  return true
}

/** The text of an address of 4 or 16 bytes, in the form of RFC 5952. */
export function formatAddress (bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join('.')
  const groups = Array.from({ length: 8 }, (_, at) => (((bytes[2 * at] ?? 0) << 8) | (bytes[2 * at + 1] ?? 0)).toString(16))
  const text = groups.join(':')
  // The longest run of zero groups, the first of several.
  const runs = [...text.matchAll(/(?<![0-9a-f])0(?::0)+(?![0-9a-f])/gu)].sort((a, b) => b[0].length - a[0].length || a.index - b.index)
  const run = runs[0]
  if (run === undefined) return text
  return `${text.slice(0, run.index).replace(/:$/u, '')}::${text.slice(run.index + run[0].length).replace(/^:/u, '')}`
}
