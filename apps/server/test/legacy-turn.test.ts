import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { LEGACY_LIMITS } from '@filesync/protocol/legacy'
import { ManualClock } from '@filesync/protocol/testing'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { NEW, OLD, sendFile } from './support/legacy-client.ts'
import type { Files } from './support/legacy-client.ts'
import { LegacyServer } from './support/legacy-server.ts'

let server: LegacyServer
beforeAll(async () => { server = await LegacyServer.open() })
beforeEach(() => { server.nextClient() })
afterAll(async () => { await server.close() })

/** Lets time pass until a session is over. What it does in between takes no time on the clock. */
async function passTime (clock: ManualClock, session: Promise<unknown>, each: () => Promise<void> = async () => { /* nothing */ }): Promise<number> {
  let isOver = false
  session.catch(() => { isOver = true })
  for (let seconds = 0; ; seconds++) {
    await new Promise(resolve => { setImmediate(resolve) })
    if (isOver || seconds > 1_000) return seconds
    await each()
    clock.advance(1_000)
  }
}

describe('a client of the original program', () => {
  test('that has to wait hears BUSY once, and READY when it is its turn', async () => {
    const first = server.connect()
    await first.wire.until('}')
    const second = server.connect()
    const third = server.connect()
    expect(await second.wire.until('}')).toContain('"BUSY"')
    expect(await third.wire.until('}')).toContain('"BUSY"')
    third.wire.drop()
    await expect(third.session).rejects.toMatchObject({ code: 'PEER_GONE' })
    await first.wire.send(server.info({}))
    await first.wire.rest()
    expect(await second.wire.until('}')).toBe('{"type":"SERVER_STATUS_MESSAGE","status":"READY"}')
    await second.wire.send(server.info({}))
    expect(await second.wire.rest()).toMatch(/^\{"type":"TASKS","files_to_send":\[\]\}\n\{"type":"NEXT_SYNC"/u)
  })

  test('that is cut off leaves whole files only, and the next sync converges', async () => {
    await server.sync({ old: { content: 'stays' }, large: { content: 'small once' } })
    const files: Files = { small: { content: 's' }, large: { content: new Uint8Array(900_000).fill(7), time: NEW }, never: { content: 'n' } }
    const { wire, session } = server.connect()
    await wire.until('}')
    await wire.send(server.info(files))
    await wire.until('\n')
    await sendFile(wire, 'small', { content: 's' })
    await sendFile(wire, 'large', { content: new Uint8Array(500_000).fill(7), time: NEW }, 900_000)
    wire.drop()
    await expect(session).rejects.toMatchObject({ code: 'PEER_GONE' })
    expect(await server.stored('large')).toBe('small once')
    expect(await server.names()).toEqual(['large', 'old', 'small'])
    expect((await server.sync(files)).asked).toEqual(['large', 'never'])
    expect((await stat(join(server.archiveRoot, 'legacy', `client_${server.id}`, 'large'))).size).toBe(900_000)
    expect(await server.names()).toEqual(['large', 'never', 'small'])
  })

  test('that goes away when it is asked is asked in one segment from then on', async () => {
    const files: Files = Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`a file with a number ${i}`, { content: '' }]))
    const { wire, session } = server.connect()
    await wire.until('}')
    await wire.send(server.info(files))
    expect((await wire.until('\n')).length).toBeGreaterThan(LEGACY_LIMITS.segmentBytes)
    wire.drop()
    await expect(session).rejects.toThrow()
    expect(JSON.stringify({ type: 'TASKS', files_to_send: (await server.sync(files)).asked }).length).toBeLessThan(LEGACY_LIMITS.segmentBytes)
  })

  test.each([
    ['before its list', (): string => ''],
    ['in its list', (): string => '{"type":"CLIENT_FILES_INFO","client_id":'],
    ['when it is asked', (): string => server.info({ a: { content: '1' } })],
    ['in a file', (): string => `${server.info({ a: { content: '1' } })}{"type":"FILE_HEADER","name":"a","path":"a","size":10,"last_mod":"${OLD}"}\n12345`],
  ])('that falls silent %s loses its turn', async (_, saying) => {
    const clock = new ManualClock()
    const { wire, session } = server.connect({}, server.dependencies(clock))
    await wire.until('}')
    const text = saying()
    await wire.send(text)
    if (text.includes('"a"')) await wire.until('\n')
    await passTime(clock, session)
    await expect(session).rejects.toMatchObject({ code: 'PEER_TIMEOUT' })
  })

  test('that sends a byte now and then loses its turn', async () => {
    const clock = new ManualClock()
    const { wire, session } = server.connect({}, server.dependencies(clock))
    await wire.until('}')
    await wire.send(`${server.info({ a: { content: '1' } })}`)
    await wire.until('\n')
    await wire.send(`{"type":"FILE_HEADER","name":"a","path":"a","size":100000,"last_mod":"${OLD}"}\n`)
    const seconds = await passTime(clock, session, async () => { await wire.send('x').catch(() => { /* it was cut off */ }) })
    await expect(session).rejects.toMatchObject({ code: 'PEER_TIMEOUT' })
    expect(seconds).toBeLessThan(100)
  })
})
