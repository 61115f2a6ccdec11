import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { ensureNode } from '../src/node/node-version.ts'

const { engines } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { engines: { node: string } }

test.each([
  ['20.20.2', false], ['22.14.9', false], ['22.15.0', true], ['22.20.1', true], ['23.0.0', true],
  ['26.10.0', true], ['27.0.0-nightly', true],
])('Node %s is supported: %s', (version, isSupported) => {
  if (isSupported) expect(() => { ensureNode(version) }).not.toThrow()
  else expect(() => { ensureNode(version) }).toThrow(`FileSync needs Node.js ${engines.node.slice(2)} or newer, but this is ${version}.`)
})
