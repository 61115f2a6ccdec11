import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import {
  ALPN_PAIR, ALPN_SYNC, DISCOVERY_GROUP_IPV4, DISCOVERY_GROUP_IPV6, DISCOVERY_PORT, encodeListing, ERRORS, FEATURES, leafPages, LIMITS,
  listingDigest, PROBLEMS, toHex,
} from '../src/index.ts'
import type { Entry, Name } from '../src/index.ts'
import { nameHash } from '../src/listing/page-cut.ts'
import { hashBytes } from '../src/node/index.ts'
import { FRAME_TYPES } from '../src/wire/frame.ts'
import { LEGACY_LIMITS } from '../src/legacy/index.ts'
import { MESSAGE_TYPES, SCHEMAS } from '../src/wire/message-schema.ts'
import { exampleExchange, printExample } from './support/example-exchange.ts'

const DOCUMENT = readFileSync(new URL('../../../docs/protocol.md', import.meta.url), 'utf8')

/** The text below a heading, up to the next one of its level or above. */
function section (heading: string): string {
  const start = DOCUMENT.indexOf(`\n${heading}\n`)
  if (start < 0) throw new Error(`docs/protocol.md has no heading "${heading}".`)
  const body = DOCUMENT.slice(start + heading.length + 2)
  const level = heading.indexOf(' ')
  const end = body.search(new RegExp(`^#{1,${String(level)}} `, 'mu'))
  return end < 0 ? body : body.slice(0, end)
}

/** The rows of all tables of a text whose first cell is one word in code, as their cells. */
function rows (text: string): string[][] {
  return text.split('\n').filter(line => line.startsWith('| `')).map(
    line => line.slice(1, -1).split(' | ').map(cell => cell.trim().replaceAll('`', ''))
  )
}

/** The fields of a schema, nested ones with their path, optional ones with a question mark. */
function fieldsOf (schema: unknown, prefix = ''): string[] {
  const node = schema as { type?: string, options?: unknown[], entries?: Record<string, unknown>, item?: unknown, wrapped?: unknown }
  if (node.options !== undefined && node.type === 'variant') return node.options.flatMap(option => fieldsOf(option, prefix))
  if (node.entries === undefined) return []
  return Object.entries(node.entries).flatMap(([name, field]) => {
    if (name === 'type') return []
    const inner = field as { type: string, item?: unknown, entries?: unknown }
    const nested = inner.entries !== undefined ? fieldsOf(field, `${prefix}${name}.`)
      : inner.type === 'array' ? fieldsOf(inner.item, `${prefix}${name}[].`)
        : []
    if (inner.entries !== undefined) return nested
    return [`${prefix}${name}${inner.type === 'exact_optional' ? '?' : ''}`, ...nested]
  })
}

describe('docs/protocol.md', () => {
  it('has a section for every message, and for nothing else', () => {
    const headings = [...section('## Messages').matchAll(/^### (\w+)$/gmu)].map(([, name]) => name)
    expect(headings).toEqual(MESSAGE_TYPES)
  })

  it.each(MESSAGE_TYPES)('has the fields of %s', type => {
    const documented = rows(section(`### ${type}`))
      .filter(([name = '']) => /^[a-z]\w*(\[\])?(\.\w+)*$/u.test(name))
      .map(([name = '', form = '']) => `${name}${form.includes('optional') ? '?' : ''}`)
    const features = new Set<string>(Object.values(FEATURES))
    expect([...new Set(documented.filter(name => !features.has(name)))].sort()).toEqual([...new Set(fieldsOf(SCHEMAS[type]))].sort())
  })

  it('has every error code with its exit code and properties', () => {
    const yes = (value: boolean): string => value ? 'yes' : 'no'
    expect(rows(section('## Close codes'))).toEqual(Object.entries(ERRORS)
      .map(([code, { exitCode, retryable, wire, meaning }]) => [code, String(exitCode), yes(retryable), yes(wire), meaning]))
  })

  it('has every problem code', () => { expect(rows(section('## Problem codes'))).toEqual(Object.entries(PROBLEMS)) })

  it('has every limit with its value and a reason', () => {
    const documented = rows(section('## Limits'))
    expect(documented.map(([name, value]) => [name, Number(value)])).toEqual(Object.entries(LIMITS))
    for (const [name, , reason = ''] of documented) expect(reason.length, name).toBeGreaterThan(20)
  })

  it('mentions only existing limits', () => {
    const named = [...DOCUMENT.matchAll(/`(\w+(?:Bytes|Ms|PerPage|Depth|Entries|PerMessage|Waiting))`/gu)].map(([, name = '']) => name)
    const fields = new Set(MESSAGE_TYPES.flatMap(type => fieldsOf(SCHEMAS[type])).map(field => field.replace('?', '').split('.').at(-1)))
    expect(named.filter(
      name => !Object.hasOwn({ ...LIMITS, ...LEGACY_LIMITS }, name) && !fields.has(name) && !['signatureBytes', 'roomBytes'].includes(name)
    )).toEqual([])
  })

  it('has every frame type with its code', () => {
    expect(rows(section('## Frames')).map(([name, code]) => [name, Number(code)])).toEqual(Object.entries(FRAME_TYPES))
  })

  it('has the features, the names of the protocol, and where discovery happens', () => {
    expect(rows(section('### HELLO')).map(([name]) => name)).toEqual(expect.arrayContaining(Object.values(FEATURES)))
    expect(rows(section('## Connection')).map(([name]) => name)).toEqual([ALPN_SYNC, ALPN_PAIR])
    for (const where of [DISCOVERY_GROUP_IPV4, DISCOVERY_GROUP_IPV6, `port ${String(DISCOVERY_PORT)}`]) {
      expect(section('## Discovery')).toContain(where)
    }
  })

  it('mentions only existing codes', () => {
    const known = new Set<string>([...Object.keys(ERRORS), ...Object.keys(PROBLEMS), ...Object.keys(FRAME_TYPES), ...MESSAGE_TYPES])
    const named = [...DOCUMENT.matchAll(/`([A-Z]+(?:_[A-Z]+)+)`/gu)].map(([, code = '']) => code)
    expect(named.filter(code => !known.has(code))).toEqual([])
  })

  it('has the example exchange that the code produces', () => {
    expect(section('## An example')).toContain(`\n\`\`\`\n${printExample(exampleExchange())}\n\`\`\`\n`)
  })

  it('has the hashes of names and the pages of its example', () => {
    const text = section('### Pages')
    for (const name of ['a', 'photos', 'Größe.jpg']) {
      const bytes = new TextEncoder().encode(name)
      const hash = nameHash(bytes, 0, bytes.length).toString(16)
      expect(text.replaceAll(/\s+/gu, ' ')).toContain(`\`${name}\` ${name === 'a' ? 'is ' : ''}\`${hash}\``)
    }
    const entries = Array.from({ length: 3000 }, (_, i): Entry => ({
      kind: 'file', name: `f${String(i).padStart(4, '0')}` as Name, mtimeNs: 0n, mode: 420, sizeBytes: 1, fileId: 0n,
    }))
    const pages = [...leafPages(encodeListing(entries), hashBytes)].map(({ firstName }) => firstName)
    const begin = /They begin at (.*?)\. Its digest is/su.exec(text)?.[1] ?? ''
    expect([...begin.matchAll(/`(f\d{4})`/gu)].map(([, name]) => name)).toEqual(pages)
    expect(text).toContain(`has ${String(pages.length)} pages`)
    expect(text).toContain(toHex(listingDigest(encodeListing(entries), hashBytes)))
  })
})
