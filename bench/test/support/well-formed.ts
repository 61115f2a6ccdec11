import { expect } from 'vitest'

const TAG = /<(?<close>\/?)(?<name>[a-z]+)(?<attributes>(?:\s+[a-zA-Z][\w:-]*="[^"<]*")*)\s*(?<empty>\/?)>/uy
const TEXT = /(?:[^<&]|&(?:amp|lt|gt|quot);)*/uy

/** Checks the subset of XML that this project writes: elements are nested, attributes are quoted and unique, text is escaped. */
export function expectWellFormed (xml: string): void {
  const open: string[] = []
  let roots = 0
  for (let at = 0; at < xml.length;) {
    TAG.lastIndex = TEXT.lastIndex = at
    const tag = TAG.exec(xml)?.groups
    if (tag === undefined) {
      const text = TEXT.exec(xml)?.[0] ?? ''
      expect(text, `at ${at}: ${xml.slice(at, at + 40)}`).not.toBe('')
      if (open.length === 0) expect(text.trim()).toBe('')
      at = TEXT.lastIndex
      continue
    }
    const { name = '', attributes = '' } = tag
    if (tag['close'] === '/') expect(open.pop()).toBe(name)
    else {
      const names = [...attributes.matchAll(/([a-zA-Z][\w:-]*)="/gu)].map(match => match[1])
      expect(new Set(names).size, attributes).toBe(names.length)
      if (open.length === 0) roots++
      if (tag['empty'] !== '/') open.push(name)
    }
    at = TAG.lastIndex
  }
  expect(open).toEqual([])
  expect(roots).toBe(1)
}
