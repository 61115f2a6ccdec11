import { execFile } from 'node:child_process'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { announce, announceServer, diagnose, find, findServers } from '../src/node/index.ts'

const server = { tlsPort: 4433, idPrefix: 'AAAAAAAAAAAAAAAA', isPairing: () => false }
const printer = { type: '_ipp._tcp', name: 'Printer', port: 631 }
const common: readonly (readonly [string, object, RegExp])[] = [
  ['interfaces that are a text', { interfaces: 'eth0' }, /: interfaces must be an array of names, but is "eth0"/u],
  ['an empty interface', { interfaces: [''] }, /: interfaces must be an array/u],
  ['a bind that is a name', { bind: 'localhost' }, /: bind must be an IP address, but is "localhost"/u],
  ['a signal that is none', { signal: 5 }, /: signal must be an AbortSignal, but is 5/u],
  ['an onProblem that is none', { onProblem: true }, /: onProblem must be a function/u],
]

/** What a call complains about, whether it throws or rejects. */
async function complaint (call: () => unknown): Promise<unknown> {
  try {
    await call()
  } catch (error) {
    return error
  }
  return undefined
}

describe.each<[string, (more: object) => unknown, readonly (readonly [string, object, RegExp])[]]>([
  ['announceServer', more => announceServer({ ...server, ...more }), [
    ...[631, NaN, 0, 65_536, '4433', undefined]
      .map(tlsPort => [`tlsPort ${tlsPort}`, { tlsPort }, /: tlsPort must be an integer from 1024/u] as const),
    ['legacyPort 0', { legacyPort: 0 }, /: legacyPort must be an integer from 1/u],
    ['a short idPrefix', { idPrefix: 'ABC' }, /: idPrefix must be the first 16 symbols of a device id, but is "ABC"/u],
    ['no isPairing', { isPairing: undefined }, /: isPairing must be a function/u],
  ]],
  ['findServers', more => findServers({ want: 'sync', ...more }), [
    ['another want', { want: 'all' }, /: want must be one of "sync", "pair", but is "all"/u],
    ['pinned that are none', { pinned: ['x'] }, /: pinned must be an array of id prefixes/u],
  ]],
  ['diagnose', more => diagnose({ role: 'client', ...more }), [
    ['another role', { role: 'x' }, /: role must be one of "client", "server"/u],
    ['an expected port that is none', { expected: { address: '10.0.0.1', port: NaN } }, /: expected.port must be an integer/u],
  ]],
  ['announce', more => announce({ ...printer, ...more }), [
    ['port NaN', { port: NaN }, /: port must be an integer from 1 to 65535, but is NaN/u],
    ['no type', { type: undefined }, /: type must be a service type/u],
    ['a type with a domain', { type: '_ipp._tcp.local' }, /: type must be a service type/u],
    ['an empty name', { name: '' }, /: name must be 1 to 63 bytes/u],
    ['a host with a domain', { host: 'desk.local' }, /: host must be one label/u],
    ['a property with =', { txt: { 'a=b': 'c' } }, /: txt: the key "a=b"/u],
    ['a group that is none', { group: { IPv4: '10.0.0.1', IPv6: 'ff02::1', port: 9 } }, /: group.IPv4 must be in 224\.0\.0\.0\/4/u],
    ['an onRename that is none', { onRename: 1 }, /: onRename must be a function/u],
  ]],
  ['find', more => find({ type: '_ipp._tcp', ...more }), [
    ['no type', { type: '' }, /: type must be a service type/u],
    ['a group whose port is none', { group: { IPv4: '224.9.9.9', IPv6: 'ff02::9', port: 0 } }, /: group.port must be an integer/u],
  ]],
])('%s refuses', (name, call, own) => {
  test.each([...common, ...own])('%s', async (_, more, message) => {
    const error = await complaint(() => call(more))
    expect(error).toBeInstanceOf(TypeError)
    expect(String(error)).toMatch(message)
    expect(String(error)).toContain(`TypeError: ${name}: `)
  })
})

describe('with no interface that can be used, the process keeps running until the signal', () => {
  const run = async (code: string): Promise<string> => {
    // The timer alone keeps no process running, so the end shows that something else did.
    const script = `import { announce, announceServer, find, findServers } from '@filesync/discovery/node'
      const stop = new AbortController()
      setTimeout(() => { stop.abort() }, 200).unref()
      const init = { interfaces: ['fsnone0'], signal: stop.signal, onProblem: ({ code }) => { console.log(code) } }
      ${code}`
    const args = ['--conditions=@filesync/source', '--input-type=module', '--eval', script]
    return (await promisify(execFile)(process.execPath, args, { cwd: fileURLToPath(new URL('..', import.meta.url)) })).stdout
  }
  const closing = 'await new Promise(resolve => { stop.signal.addEventListener("abort", resolve) }); console.log("listening", it.listening)'

  test.each([
    ['findServers', 'for await (const server of findServers({ ...init, want: "sync", dnsSd: false })); console.log("ended")', 'ended'],
    ['find', 'for await (const event of find({ ...init, type: "_ipp._tcp" })); console.log("ended")', 'ended'],
    ['announceServer', `const more = { dnsSd: false, tlsPort: 4433, idPrefix: "${server.idPrefix}", isPairing: () => false }
      const it = await announceServer({ ...init, ...more });
      ${closing}`, 'listening false'],
    ['announce', `const it = await announce({ ...init, type: "_ipp._tcp", name: "x", port: 1 }); ${closing}`, 'listening false'],
  ])('%s', async (_, code, last) => {
    expect(await run(code)).toBe(`DISCOVERY_UNAVAILABLE\n${last}\n`)
  })
})
