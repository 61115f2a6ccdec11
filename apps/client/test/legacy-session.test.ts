import { asFileSyncError, LIMITS } from '@filesync/protocol'
import { LEGACY_LIMITS, LegacyChannel } from '@filesync/protocol/legacy'
import type { TimeZone } from '@filesync/protocol'
import { createHasher, hashBytes, systemClock } from '@filesync/protocol/node'
import { ManualClock, memoryStreamPair, memoryTree } from '@filesync/protocol/testing'
import type { MemoryStreamInit, TreeLiteral } from '@filesync/protocol/testing'
import type { FileFault } from '@filesync/transfer'
import { MemorySource } from '@filesync/transfer/testing'
import { describe, expect, test } from 'vitest'
import { pushLegacySession } from '../src/legacy/push-session.ts'
import type { LegacyPushDependencies, LegacyPushed } from '../src/legacy/push-session.ts'
import type { PushableTree } from '../src/push/push-session.ts'

const UTC: TimeZone = { toUtcMs: wallMs => wallMs, toWallMs: utcMs => utcMs }
const TIME = '2023-11-14T22:13:20.000000'
const READY = '{"type":"SERVER_STATUS_MESSAGE","status":"READY"}'
const LARGE = new Uint8Array(700_000).map((_, i) => i * 7)

interface Options extends MemoryStreamInit {
  readonly unsettled?: readonly string[]
  readonly faults?: Readonly<Record<string, FileFault>>
  readonly changed?: readonly string[]
  readonly complete?: boolean
  readonly clock?: ManualClock
}

/** A client that pushes, and the server's end of its connection. */
class Run {
  readonly session: Promise<LegacyPushed>
  readonly #server: ReturnType<typeof memoryStreamPair>[0]
  received: number[] = []
  readonly busy: true[] = []

  constructor (literal: TreeLiteral, options: Options = {}) {
    const tree = memoryTree(literal, hashBytes)
    const pushable: PushableTree = {
      ...tree, listing: path => tree.listing(path), complete: options.complete !== false, problems: [], problemCount: 0,
      isUnsettled: path => options.unsettled?.includes(path) === true,
    }
    const source = new MemorySource({
      hashBytes, createHasher, content: path => options.faults?.[path] ?? tree.content(path),
      check: path => options.changed?.includes(path) === true ? { code: 'CHANGED_DURING_READ' } : undefined,
    })
    const [server, client] = memoryStreamPair({ capacityBytes: 1 << 24, ...options })
    this.#server = server
    const clock = options.clock ?? systemClock
    const channel = new LegacyChannel(client, clock)
    const deps: LegacyPushDependencies = {
      scan: async () => pushable, source, clientId: 'pc', zone: UTC, clock, onBusy: () => { this.busy.push(true) },
    }
    this.session = pushLegacySession(channel, deps).catch((error: unknown) => {
      channel.destroy(asFileSyncError(error))
      throw error
    })
    this.session.catch(() => { /* awaited in the test */ })
  }

  async send (text: string): Promise<void> { await this.#server.write(new TextEncoder().encode(text)) }

  /** Reads up to the end of this text. */
  async until (end: string): Promise<string> {
    for (;;) {
      const text = Buffer.from(this.received).toString('latin1')
      const at = text.indexOf(end)
      if (at >= 0) {
        this.received = this.received.slice(at + end.length)
        return Buffer.from(text.slice(0, at + end.length), 'latin1').toString('utf8')
      }
      if (await this.more()) continue
      throw new Error(`The client ended before it sent ${JSON.stringify(end)}; it sent ${JSON.stringify(text.slice(0, 500))}.`)
    }
  }

  async more (): Promise<boolean> {
    const chunks = await this.#server.read().catch(() => undefined)
    for (const chunk of chunks ?? []) for (const byte of chunk) this.received.push(byte)
    return chunks !== undefined
  }

  async ask (paths: readonly string[]): Promise<Record<string, unknown>> {
    await this.send(READY)
    const info = JSON.parse(await this.until(']}')) as Record<string, unknown>
    await this.send(`{"type":"TASKS","files_to_send":${JSON.stringify(paths)}}\n`)
    return info
  }
}

const nextSync = '{"type":"NEXT_SYNC","time":"2099-01-01T00:00:00"}'

describe('a push to the original server', () => {
  test.each([undefined, 1, 5])('sends the bytes that the original client sends, in pieces of %s bytes', async chunkBytes => {
    const run = new Run(
      { 'ü': 'umlaut', 'd': { 'b"': 'quote', 'large': LARGE }, 'skip': 'x' }, chunkBytes === undefined ? {} : { chunkBytes }
    )
    await run.send('{"type":"SERVER_STATUS_MESSAGE","status":"BUSY"}{"type":"SERVER_STATUS","status":"READY"}')
    const info = await run.until(']}')
    const files = ['skip', 'ü', 'd/b"', 'd/large'].map(path => JSON.stringify({ name: path.split('/').at(-1), path, last_mod: TIME }))
    expect(info).toBe(`{"type":"CLIENT_FILES_INFO","client_id":"pc","files":[${files.join()}]}`)
    expect(run.busy).toEqual([true])
    await run.send('{"type":"TASKS","files_to_send":["d/large","d/b\\"","\\u00fc"]}\n')
    expect(await run.until('umlaut')).toBe(`{"type":"FILE_HEADER","name":"ü","path":"ü","size":6,"last_mod":"${TIME}"}\numlaut`)
    expect(await run.until('quote')).toContain('"path":"d/b\\""')
    expect(await run.until('\n')).toBe(`{"type":"FILE_HEADER","name":"large","path":"d/large","size":700000,"last_mod":"${TIME}"}\n`)
    while (run.received.length < LARGE.length) await run.more()
    expect(Buffer.from(run.received).equals(LARGE)).toBe(true)
    await run.send(nextSync)
    expect(await run.session).toMatchObject({ filesSent: 3, problems: [], nextInMs: LIMITS.nextSyncMaxMs })
  })

  test('reports entries that the protocol cannot carry', async () => {
    const run = new Run({ link: { symlink: 'x' }, empty: {}, d: { file: '1' } })
    expect(await run.ask([])).toMatchObject({ files: [{ path: 'd/file' }] })
    await run.send(nextSync)
    expect(
      (await run.session).problems.map(({ path, code }) => `${code} ${path}`).sort()
    ).toEqual(['NOT_CARRIED empty', 'NOT_CARRIED link'])
  })

  test('accepts a list of 8192 bytes, and refuses one more byte before it sends anything', async () => {
    // The name of a file is in the list twice, that of its directory once.
    const list = async (files: TreeLiteral): Promise<Run> => {
      const run = new Run(files)
      await run.send(READY)
      return run
    }
    const many = Object.fromEntries(Array.from({ length: 31 }, (_, i) => [`${'n'.repeat(90)}${10 + i}`, '']))
    const base = Buffer.from(await (await list({ ...many, d: { z: '' } })).until(']}')).length
    const missing = LEGACY_LIMITS.recvBytes - base
    expect(missing).toBeGreaterThan(0)
    const filled = (bytes: number): TreeLiteral => {
      const inName = Math.min(200, Math.floor(bytes / 2))
      return { ...many, ['d'.repeat(1 + bytes - 2 * inName)]: { ['z'.repeat(1 + inName)]: '' } }
    }
    const fits = await list(filled(missing))
    expect(Buffer.from(await fits.until(']}')).length).toBe(LEGACY_LIMITS.recvBytes)
    const tooLong = await list(filled(missing + 1))
    await expect(tooLong.session).rejects.toMatchObject({ code: 'LIMIT_EXCEEDED', message: expect.stringContaining('8192') as unknown })
    expect(tooLong.received).toEqual([])
  })

  test('refuses a directory that cannot be read completely before it sends anything', async () => {
    const run = new Run({ a: '1' }, { complete: false })
    await run.send(READY)
    await expect(run.session).rejects.toMatchObject({ code: 'SOURCE_UNAVAILABLE' })
    expect(run.received).toEqual([])
  })

  test('lists files that are being written last, and does not send them', async () => {
    const run = new Run({ a: '1', b: '2' }, { unsettled: ['a'] })
    expect(await run.ask(['a', 'b'])).toMatchObject({ files: [{ path: 'b' }, { path: 'a' }] })
    await expect(run.session).rejects.toMatchObject({ code: 'DATA_MISMATCH', path: 'a' })
    expect(await run.until('\n2')).toContain('"path":"b"')
    expect(run.received).toEqual([])
  })

  test('does not finish a large file that changed while it was read', async () => {
    const run = new Run({ large: LARGE }, { changed: ['large'] })
    await run.ask(['large'])
    await expect(run.session).rejects.toMatchObject({ code: 'DATA_MISMATCH', path: 'large' })
    while (await run.more()) { /* the rest */ }
    expect(run.received.length).toBeLessThan(LARGE.length)
  })

  test('sends no part of a small file that cannot be read', async () => {
    const run = new Run({ a: '1' }, { faults: { a: { code: 'UNREADABLE', detail: 'EACCES' } } })
    await run.ask(['a'])
    await expect(run.session).rejects.toMatchObject({ code: 'DATA_MISMATCH' })
    expect(run.received).toEqual([])
  })
})

describe('a hostile server of the original protocol', () => {
  test.each([
    ['a file that is not in the list', ['b']],
    ['a path outside the directory', ['../../etc/passwd']],
    ['another spelling of a path', ['./a']],
    ['an absolute path', ['/a']],
    ['a directory', ['d']],
    ['a link', ['link']],
    ['a file twice', ['a', 'a']],
    ['a property name of JavaScript', ['__proto__']],
  ])('gets nothing for %s', async (_, paths) => {
    const run = new Run({ a: '1', d: { file: '2' }, link: { symlink: 'a' } })
    await run.ask(paths)
    await expect(run.session).rejects.toMatchObject({ code: 'TASK_INVALID' })
    expect(run.received).toEqual([])
  })

  test.each([
    ['an endless task', `{"type":"TASKS","files_to_send":["${'x'.repeat(LEGACY_LIMITS.messageBytes)}`, 'LIMIT_EXCEEDED'],
    ['too many tasks', `{"type":"TASKS","files_to_send":[${'"a",'.repeat(20_000)}`, 'LIMIT_EXCEEDED'],
    ['tasks that are not text', '{"type":"TASKS","files_to_send":[1]}', 'MESSAGE_INVALID'],
    ['NEXT_SYNC instead of TASKS', nextSync, 'MESSAGE_INVALID'],
    ['no JSON', 'HTTP/1.1 400 Bad Request', 'MESSAGE_INVALID'],
  ])('is disconnected for %s', async (_, reply, code) => {
    const run = new Run({ a: '1' })
    await run.send(READY)
    await run.until(']}')
    await run.send(reply)
    await expect(run.session).rejects.toMatchObject({ code })
  })

  test.each([
    ['never', '"never"'], ['a number', '0'], ['an instant with a zone', '"2026-01-01T00:00:00Z"'],
  ])('is disconnected if the time of the next sync is %s', async (_, time) => {
    const run = new Run({ a: '1' })
    await run.ask([])
    await run.send(`{"type":"NEXT_SYNC","time":${time}}`)
    await expect(run.session).rejects.toMatchObject({ code: 'MESSAGE_INVALID' })
  })

  test.each([
    ['0001-01-01T00:00:00', LIMITS.nextSyncMinMs], ['9999-01-01T00:00:00', LIMITS.nextSyncMaxMs],
  ])('cannot make the client spin or wait forever (%s)', async (time, expected) => {
    const run = new Run({ a: '1' })
    await run.ask([])
    await run.send(`{"type":"NEXT_SYNC","time":"${time}"}`)
    expect((await run.session).nextInMs).toBe(expected)
  })

  test('is disconnected if it sends nothing', async () => {
    const clock = new ManualClock()
    const run = new Run({ a: '1' }, { clock })
    clock.advance(LEGACY_LIMITS.idleTimeoutMs)
    await expect(run.session).rejects.toMatchObject({ code: 'PEER_TIMEOUT' })
  })

  test('is reported as gone if it disconnects', async () => {
    const run = new Run({ a: '1' }, { cutAfterBytes: [READY.length, undefined] })
    await run.send(READY).catch(() => { /* the connection is cut after these bytes */ })
    await expect(run.session).rejects.toMatchObject({ code: 'PEER_GONE' })
  })
})
