import { systemClock } from '@filesync/protocol/node'
import { afterEach, expect, test } from 'vitest'
import { announceServer, diagnose, findServers } from '../src/node/index.ts'
import type { Announcer } from '../src/node/index.ts'
import type { DiscoveryFinding, FoundServer } from '../src/index.ts'

// Other programs may be found on loopback at the same time; ids of this file's own tell them apart.
const ids = ['1', '2'].map(digit => `${digit}${process.pid}`.padStart(16, '0'))
const clock = systemClock
const bind = '127.0.0.1'
const announcers: Announcer[] = []

async function serve (idPrefix: string, tlsPort: number): Promise<Announcer> {
  const signal = new AbortController().signal
  const announcer = await announceServer({ tlsPort, idPrefix, isPairing: () => true, bind, clock, signal })
  announcers.push(announcer)
  return announcer
}

async function findAll (wanted: readonly string[], dnsSd: boolean): Promise<FoundServer[]> {
  const found: FoundServer[] = []
  for await (const server of findServers({ want: 'pair', dnsSd, bind, clock, signal: AbortSignal.timeout(8_000) })) {
    if (wanted.includes(server.idPrefix)) found.push(server)
    if (found.length === wanted.length) break
  }
  return found
}

afterEach(async () => { await Promise.all(announcers.splice(0).map(each => each.close())) })

test('two servers of one machine are found over loopback', async () => {
  const [announcer] = await Promise.all([serve(ids[0] ?? '', 40_001), serve(ids[1] ?? '', 40_002)])
  expect(announcer.listening).toBe(true)
  expect(announcer.links.map(({ address }) => address)).toEqual(['127.0.0.1'])
  const found = await findAll(ids, false)
  expect(found.map(({ port }) => port).sort()).toEqual([40_001, 40_002])
  expect(found[0]).toMatchObject({ address: '127.0.0.1', pairing: true })
})

test('a closed server is found no more, and its port is free', async () => {
  const announcer = await serve(ids[0] ?? '', 40_001)
  await announcer.close()
  await announcer.close()
  expect(announcer.listening).toBe(false)
  const found = findServers({ want: 'sync', bind, clock, signal: AbortSignal.timeout(700) })
  for await (const server of found) expect(server.idPrefix).not.toBe(ids[0])
})

test('an aborted signal ends the announcing and the looking', async () => {
  const stop = new AbortController()
  const announcer = await announceServer({
    tlsPort: 40_001,
    idPrefix: ids[0] ?? '',
    isPairing: () => false,
    bind,
    clock,
    signal: stop.signal,
  })
  const looking = (async () => {
    for await (const server of findServers({ want: 'sync', bind, clock, signal: stop.signal })) {
      if (server.idPrefix === ids[0]) stop.abort()
    }
  })()
  await looking
  await announcer.close()
  expect(announcer.listening).toBe(false)
  for await (const server of findServers({ want: 'sync', bind, clock, signal: stop.signal })) throw new Error(`found ${server.idPrefix}`)
})

test('a diagnosis finds the server of this machine', async () => {
  await serve(ids[0] ?? '', 40_001)
  const findings: DiscoveryFinding[] = []
  for await (const finding of diagnose({ role: 'client', bind, clock, signal: new AbortController().signal })) findings.push(finding)
  expect(findings.filter(({ level }) => level !== 'ok')).toEqual([])
  expect(findings).toContainEqual(expect.objectContaining({ check: 'offer', what: expect.stringContaining(ids[0] ?? '') as string }))
})
