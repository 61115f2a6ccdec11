import { expect, test } from 'vitest'
import type { Archive } from '@filesync/archive'
import { memoryArchive, MemoryStore } from '@filesync/archive/testing'
import { encodeFrame, encodeMessage, FEATURES, hello, isFileSyncError, LIMITS, openConnection, safePageDigest } from '@filesync/protocol'
import type { Connection, Digest, Message, QuestionedPage, SafeAnswer, SafePagesAnswer, SafeQuestion } from '@filesync/protocol'
import { hashBytes, systemClock } from '@filesync/protocol/node'
import { memoryStreamPair } from '@filesync/protocol/testing'
import { SafeCheckDesk } from '../src/session/safe-check-desk.ts'
import { serveSession } from '../src/session/serve-session.ts'
import type { ServeDependencies } from '../src/session/serve-session.ts'
import { SessionQueue } from '../src/schedule/session-queue.ts'
import { arrivalOf } from './support/queue.ts'

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text)
const file = (path: string, content = path): { path: string, kind: 'FILE', digest: Digest } =>
  ({ path, kind: 'FILE', digest: hashBytes(bytesOf(content)) })

/** A server with an archive in memory. */
class SafeCheckServer {
  readonly store: MemoryStore = new MemoryStore({ hash: hashBytes, clock: systemClock })
  readonly archive: Archive = memoryArchive({ hash: hashBytes, clock: systemClock, store: this.store })
  readonly queue: SessionQueue = new SessionQueue({ maxActive: 1, maxWaiting: 1, clock: systemClock })
  readonly safeChecks: SafeCheckDesk = new SafeCheckDesk(
    async area => this.archive.areas().includes(area) ? await this.archive.area(area) : undefined,
  )
  readonly stopping = new AbortController()
  readonly sessions: Promise<unknown>[] = []

  /** Puts files into an area's folder and rebuilds its index. */
  async stock (area: string, names: readonly string[]): Promise<void> {
    const folder = this.store.root.below(area, 'make')
    for (const name of names) {
      folder?.put(name, { kind: 'file', content: bytesOf(name), mtimeNs: 1_700_000_000_000_000_000n, mode: 0o644, sinceMs: 0 })
    }
    await (await this.archive.area(area)).rebuild()
  }

  connect (identity: string, area: string = identity): Connection {
    const [client, near] = memoryStreamPair()
    const connection = openConnection({ stream: near, clock: systemClock })
    const schedule = { admit () { /* at any time */ }, onClose: () => () => { /* it never closes */ } }
    const rules = { stopping: this.stopping.signal, schedule }
    const deps = { queue: this.queue, safeChecks: this.safeChecks, clock: systemClock, software: 'test', rules }
    this.sessions.push(serveSession(connection, { identity, area }, deps as unknown as ServeDependencies).then(
      async outcome => { await connection.close(); return outcome },
      async (error: unknown) => { await connection.close(error); throw error },
    ).catch((error: unknown) => { if (!isFileSyncError(error) || error.code === 'INTERNAL') throw error }))
    return openConnection({ stream: client, clock: systemClock })
  }

  async ask (identity: string, files: readonly object[], more: object = {}): Promise<SafeAnswer> {
    const connection = await this.greeted(identity)
    const answer = await ask(connection, files, more)
    await connection.close()
    return answer
  }

  async greeted (identity: string): Promise<Connection> {
    const connection = this.connect(identity)
    await connection.send(hello('test', [FEATURES.SAFE]))
    await connection.receive(['HELLO'])
    return connection
  }
}

async function ask (connection: Connection, files: readonly object[], more: object = {}): Promise<SafeAnswer> {
  await connection.send({ type: 'SAFE_QUESTION', fresh: false, files, ...more } as Message)
  return await connection.receive(['SAFE_ANSWER'])
}

async function refusal (work: Promise<unknown>): Promise<string> {
  return await work.then(() => 'none', (error: unknown) => isFileSyncError(error) ? error.code : String(error))
}

test('a check is answered while others have their turn and wait, and takes no place in the queue', async () => {
  const server = new SafeCheckServer()
  await server.stock('laptop', ['a', 'b'])
  const replaced: unknown[] = []
  const onReplaced = (error: unknown): void => { replaced.push(error) }
  await server.queue.enter(arrivalOf('laptop', { onReplaced }))
  void server.queue.enter(arrivalOf('other', { onReplaced }))
  const { files } = await server.ask('laptop', [file('b'), file('a', 'other'), file('c')])
  expect(files.map(({ verdict }) => verdict)).toEqual(['SAFE', 'DIFFERENT', 'ABSENT'])
  expect(files[0]?.storedAtMs).toBeGreaterThan(0)
  expect(server.queue.identities).toEqual(['laptop', 'other'])
  expect(replaced).toEqual([])
})

test('one session answers several checks, and a fresh check says how the copy was read', async () => {
  const server = new SafeCheckServer()
  await server.stock('laptop', ['a'])
  const connection = await server.greeted('laptop')
  expect((await ask(connection, [file('a')])).files[0]).not.toHaveProperty('read')
  expect((await ask(connection, [file('a')], { fresh: true })).files[0]).toMatchObject({ verdict: 'SAFE', read: 'DISK' })
  await connection.close()
  await Promise.all(server.sessions)
})

test('a client learns nothing about another client\'s files, and a check creates no area', async () => {
  const server = new SafeCheckServer()
  await server.stock('laptop', ['a'])
  const { files } = await server.ask('stranger', [file('a'), file('laptop/a', 'a')])
  expect(files).toEqual([{ verdict: 'ABSENT' }, { verdict: 'ABSENT' }])
  expect(server.archive.areas()).toEqual(['laptop'])
  expect(server.store.root.entries().map(({ name }) => name)).toEqual(['laptop'])
})

const INVALID_PATHS = ['../laptop/a', '/etc/passwd', 'a/../../x', '.filesync/index', 'a//b', 'a/', '.', 'a\0b', 'd/'.repeat(64) + 'd']

test.each(INVALID_PATHS)('the invalid path %j ends the session', async path => {
  const server = new SafeCheckServer()
  await server.stock('laptop', ['a'])
  expect(await refusal(server.ask('laptop', [file('a'), file(path, 'a')]))).toBe('NAME_INVALID')
})

test('too many files in one check, and any other message, end the session', async () => {
  const server = new SafeCheckServer()
  await server.stock('laptop', ['a'])
  const filesOf = (count: number): object[] => Array.from({ length: count }, () => file('a'))
  expect(await refusal(server.ask('laptop', filesOf(LIMITS.filesPerQuestion + 1)))).toBe('MESSAGE_INVALID')
  for (const message of [{ type: 'SAFE_ANSWER', files: [{ verdict: 'SAFE' }] }, { type: 'PAIR_DONE' }] as Message[]) {
    const connection = await server.greeted('laptop')
    await connection.send(message)
    expect(await refusal(connection.receive(['SAFE_ANSWER']))).toBe('MESSAGE_UNEXPECTED')
  }
  const { files } = await server.ask('laptop', filesOf(LIMITS.filesPerQuestion))
  expect(files.every(({ verdict }) => verdict === 'SAFE')).toBe(true)
})

const page = (path: string, names: readonly string[], more: object = {}): QuestionedPage => ({
  path,
  first: names[0] ?? '',
  last: names.at(-1) ?? '',
  files: names.length,
  digest: safePageDigest(names.map(name => ({ kind: 'file', name, sizeBytes: name.length, digest: hashBytes(bytesOf(name)) })), hashBytes),
  ...more,
})

async function askPages (server: SafeCheckServer, identity: string, pages: readonly QuestionedPage[]): Promise<SafePagesAnswer> {
  const connection = await server.greeted(identity)
  await connection.send({ type: 'SAFE_PAGES_QUESTION', fresh: false, pages })
  const answer = await connection.receive(['SAFE_PAGES_ANSWER'])
  await connection.close()
  return answer
}

test('pages are answered in their order: times for all files of an equal one, nothing for any other', async () => {
  const server = new SafeCheckServer()
  await server.stock('laptop', ['a', 'b', 'c', 'd'])
  const { pages } = await askPages(server, 'laptop', [
    page('', ['c', 'd']), page('', ['a', 'b', 'c', 'd']), page('', ['a', 'b']),
    // Forged, with a gap, from last to first, of more files than there are, of a directory that is none, of nothing.
    page('', ['a', 'b'], { digest: hashBytes(bytesOf('')) }), page('', ['a', 'c']), page('', ['b', 'a']), page('', ['c', 'd', 'e']),
    page('a', ['a']), page('nowhere', ['a']),
  ])
  expect(pages.map(({ runs }) => runs.reduce((sum, [files]) => sum + files, 0))).toEqual([2, 4, 2, 0, 0, 0, 0, 0, 0])
  expect(pages[1]?.runs.every(([, storedAtMs]) => storedAtMs > 0)).toBe(true)
})

test('a client learns nothing by pages about another client\'s files', async () => {
  const server = new SafeCheckServer()
  await server.stock('laptop', ['a'])
  await server.stock('other', ['b'])
  const { pages } = await askPages(server, 'other', [page('', ['a']), page('laptop', ['a']), page('', ['b'])])
  expect(pages.map(({ runs }) => runs.length)).toEqual([0, 0, 1])
  expect((await askPages(server, 'stranger', [page('', ['a'])])).pages).toEqual([{ runs: [] }])
  expect(server.archive.areas()).toEqual(['laptop', 'other'])
})

test.each<[string, QuestionedPage]>([
  ['..', page('..', ['a'])], ['a name with a slash', page('', ['a/b'])], ['a name that is no name', page('', ['..', 'x'])],
  ['an own name', page('.filesync', ['a'])], ['a last name that is no name', page('', ['a', '.'])],
])('a page with %s ends the session', async (_, wrong) => {
  const server = new SafeCheckServer()
  await server.stock('laptop', ['a'])
  expect(await refusal(askPages(server, 'laptop', [page('', ['a']), wrong]))).toBe('NAME_INVALID')
})

test.each<[string, readonly QuestionedPage[]]>([
  ['no pages', []], ['too many pages', Array.from({ length: LIMITS.pagesPerQuestion + 1 }, () => page('', ['a']))],
  ['a page without files', [page('', ['a'], { files: 0 })]], ['a huge page', [page('', ['a'], { files: LIMITS.pageEntries + 1 })]],
])('a question with %s ends the session', async (_, pages) => {
  const server = new SafeCheckServer()
  await server.stock('laptop', ['a'])
  expect(await refusal(askPages(server, 'laptop', pages))).toBe('MESSAGE_INVALID')
})

test('SAFE_QUESTION is refused before HELLO, and after a HELLO without the feature', async () => {
  const server = new SafeCheckServer()
  await server.queue.enter(arrivalOf('other'))
  const question = encodeFrame('MESSAGE', [encodeMessage({ type: 'SAFE_QUESTION', fresh: false, files: [file('a')] })])
  const greeted = server.connect('laptop')
  await greeted.send(hello('test', [FEATURES.RESUME]))
  await greeted.receive(['HELLO'])
  await greeted.receive(['SERVER_STATUS'])
  await greeted.sendFrame(question)
  await expect(greeted.receive(['SAFE_ANSWER'])).rejects.toThrow('SAFE_QUESTION, but CLIENT_FILES_INFO was expected')
  const rude = server.connect('laptop')
  await rude.sendFrame(question)
  await expect(rude.receive(['SAFE_ANSWER'])).rejects.toThrow('SAFE_QUESTION, but HELLO was expected')
})

test('a client can open only a few sessions of checks, and they do not block other clients', async () => {
  const server = new SafeCheckServer()
  await server.stock('laptop', ['a'])
  const open = await Promise.all(Array.from({ length: 4 }, async () => await server.greeted('laptop')))
  expect(await refusal(server.ask('laptop', [file('a')]))).toBe('SERVER_BUSY')
  expect((await server.ask('other', [file('a')])).files).toEqual([{ verdict: 'ABSENT' }])
  await open[0]?.close()
  await Promise.race(server.sessions)
  expect((await server.ask('laptop', [file('a')])).files[0]?.verdict).toBe('SAFE')
})

test('copies are read again one at a time, round-robin by client, and not for a client that has left', async () => {
  const server = new SafeCheckServer()
  const many = Array.from({ length: 20 }, (_, i) => `f${String(i)}`)
  await server.stock('laptop', many)
  await server.stock('desktop', ['d'])
  const reads: string[] = []
  let underWay = 0
  let goOn: () => void = () => { /* set below */ }
  const first = new Promise<void>(resolve => { goOn = resolve })
  const reread = server.store.reread.bind(server.store)
  server.store.reread = async (area, path, options = {}) => await reread(area, path, {
    ...options,
    inTurn: async step => await (options.inTurn ?? (async now => await now()))(async () => {
      expect(++underWay).toBe(1)
      reads.push(path)
      await first
      underWay--
      return await step()
    }),
  })
  const signal = new AbortController().signal
  const gone = new AbortController()
  const question = (...paths: string[]): SafeQuestion => ({ type: 'SAFE_QUESTION', fresh: true, files: paths.map(path => file(path)) })
  // One client asks about many files in several sessions, and then another client about one file.
  const answers = [
    server.safeChecks.answer('laptop', question(...many), signal), server.safeChecks.answer('laptop', question(...many), signal),
    server.safeChecks.answer('laptop', question('f0'), gone.signal), server.safeChecks.answer('desktop', question('d'), signal),
  ]
  const quick = await server.safeChecks.answer('laptop', { ...question('f1'), fresh: false }, signal)
  expect(quick.files[0]?.verdict).toBe('SAFE')
  gone.abort(new Error('gone'))
  expect(reads).toEqual(['f0'])
  goOn()
  expect((await Promise.allSettled(answers)).map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected', 'fulfilled'])
  expect(reads.indexOf('d')).toBeLessThan(4)
  expect(reads).toHaveLength(2 * many.length + 1)
})

test('a stopping server ends sessions of checks with SERVER_STOPPING', async () => {
  const server = new SafeCheckServer()
  const connection = await server.greeted('laptop')
  await ask(connection, [file('a')])
  server.stopping.abort()
  expect(await refusal(connection.receive(['SAFE_ANSWER']))).toBe('SERVER_STOPPING')
})
