import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { LEGACY_LIMITS } from '@filesync/protocol/legacy'
import { ManualClock } from '@filesync/protocol/testing'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { NEW, OLD, sendFile } from './support/legacy-client.ts'
import type { Files } from './support/legacy-client.ts'
import { LegacyServer } from './support/legacy-server.ts'
import { settlePromises } from './support/time.ts'

let server: LegacyServer
beforeAll(async () => { server = await LegacyServer.open() })
beforeEach(() => { server.nextClient() })
afterAll(async () => { await server.close() })

/** Lets time pass until a session ends; returns the seconds. `each` runs every second and takes no time on the clock. */
async function passUntilEnd (
  clock: ManualClock, session: Promise<unknown>, each: () => Promise<void> = async () => { /* nothing */ },
): Promise<number> {
  let isOver = false
  session.catch(() => { isOver = true })
  for (let seconds = 0; ; seconds++) {
    await settlePromises()
    if (isOver || seconds > 1_000) return seconds
    await each()
    clock.advance(1_000)
  }
}

describe('a legacy client', () => {
  test('that has to wait receives BUSY once, and READY when its turn begins', async () => {
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

  test('that disconnects leaves only complete files, and the next sync converges', async () => {
    await server.sync({ old: { content: 'stays' }, large: { content: 'small once' } })
    const large = new Uint8Array(900_000).fill(7)
    const files: Files = { small: { content: 's' }, large: { content: large, time: NEW }, never: { content: 'n' } }
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

  test('that leaves after TASKS gets TASKS of a single segment from then on', async () => {
    const files: Files = Object.fromEntries(
      Array.from({ length: 300 }, (_, i) => [`a file with a number ${i}`, { content: '' }]),
    )
    const { wire, session } = server.connect()
    await wire.until('}')
    await wire.send(server.info(files))
    expect((await wire.until('\n')).length).toBeGreaterThan(LEGACY_LIMITS.segmentBytes)
    wire.drop()
    await expect(session).rejects.toThrow()
    const { asked } = await server.sync(files)
    expect(JSON.stringify({ type: 'TASKS', files_to_send: asked }).length).toBeLessThan(LEGACY_LIMITS.segmentBytes)
  })

  test.each([
    ['before its list', (): string => ''],
    ['within its list', (): string => '{"type":"CLIENT_FILES_INFO","client_id":'],
    ['after TASKS', (): string => server.info({ a: { content: '1' } })],
    ['within a file', (): string => {
      const header = `{"type":"FILE_HEADER","name":"a","path":"a","size":10,"last_mod":"${OLD}"}`
      return `${server.info({ a: { content: '1' } })}${header}\n12345`
    }],
  ])('that falls silent %s loses its turn', async (_, saying) => {
    const clock = new ManualClock()
    const { wire, session } = server.connect({}, server.dependencies(clock))
    await wire.until('}')
    const text = saying()
    await wire.send(text)
    if (text.includes('"a"')) await wire.until('\n')
    await passUntilEnd(clock, session)
    await expect(session).rejects.toMatchObject({ code: 'PEER_TIMEOUT' })
  })

  test('that sends only a byte every second loses its turn', async () => {
    const clock = new ManualClock()
    const { wire, session } = server.connect({}, server.dependencies(clock))
    await wire.until('}')
    await wire.send(`${server.info({ a: { content: '1' } })}`)
    await wire.until('\n')
    await wire.send(`{"type":"FILE_HEADER","name":"a","path":"a","size":100000,"last_mod":"${OLD}"}\n`)
    const sendByte = async (): Promise<void> => { await wire.send('x').catch(() => { /* the server disconnected it */ }) }
    const seconds = await passUntilEnd(clock, session, sendByte)
    await expect(session).rejects.toMatchObject({ code: 'PEER_TIMEOUT' })
    expect(seconds).toBeLessThan(100)
  })
})
