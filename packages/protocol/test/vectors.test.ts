import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { MESSAGE_TYPES } from '../src/wire/message-schema.ts'
import { fromHex, refusal } from './support/refusal.ts'
import { FORMATS } from './vectors/formats.ts'
import { fromJson } from './vectors/value.ts'

interface Vector {
  readonly hex: string
  readonly value?: unknown
  readonly refused?: string
  readonly why?: string
}

const directory = new URL('vectors/', import.meta.url)
const files = readdirSync(directory).filter(name => name.endsWith('.json')).map(name => name.slice(0, -'.json'.length))

it('there are vectors for every format', () => { expect(files.sort()).toEqual(Object.keys(FORMATS).sort()) })

it('there are vectors for every message', () => {
  const messages = JSON.parse(readFileSync(new URL('messages.json', directory), 'utf8')) as Vector[]
  const types = new Set(messages.map(({ value }) => (value as { type?: string } | undefined)?.type))
  expect(MESSAGE_TYPES.filter(type => !types.has(type))).toEqual([])
})

describe.each(files)('%s', name => {
  const vectors = JSON.parse(readFileSync(new URL(`${name}.json`, directory), 'utf8')) as Vector[]
  const format = FORMATS[name]
  if (format === undefined) throw new Error(`Nothing decodes ${name}.`)

  it('decode to their values, and encode to the same bytes', () => {
    const valid = vectors.filter(vector => vector.refused === undefined)
    expect(valid.length).toBeGreaterThan(1)
    for (const { hex, value } of valid) {
      expect(format.decode(fromHex(hex))).toEqual(fromJson(value))
      expect(Buffer.from(format.encode(fromJson(value))).toString('hex')).toBe(hex)
    }
  })

  it('are rejected with their codes', () => {
    const refused = vectors.filter(vector => vector.refused !== undefined)
    expect(refused.length).toBeGreaterThan(1)
    for (const { hex, refused: code, why } of refused) expect(refusal(() => format.decode(fromHex(hex))), why).toBe(code)
  })
})
