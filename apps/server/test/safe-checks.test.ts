import { expect, test } from 'vitest'
import type { Archive } from '@filesync/archive'
import { memoryArchive, MemoryStore } from '@filesync/archive/testing'
import { encodeFrame, encodeMessage, FEATURES, hello, isFileSyncError, LIMITS, openConnection } from '@filesync/protocol'
import type { Connection, Digest, Message, SafeAnswer } from '@filesync/protocol'
import { hashBytes, systemClock } from '@filesync/protocol/node'
import { memoryStreamPair } from '@filesync/protocol/testing'
import { SafeCheckDesk } from '../src/session/safe-check-desk.ts'
import { serveSession } from '../src/session/serve-session.ts'
import type { ServeDependencies } from '../src/session/serve-session.ts'
import { SessionQueue } from '../src/schedule/session-queue.ts'

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text)
const file = (path: string, content = path): { path: string, kind: 'FILE', digest: Digest } => ({ path, kind: 'FILE', digest: hashBytes(bytesOf(content)) })

class House {
  readonly store: MemoryStore = new MemoryStore({ hash: hashBytes, clock: systemClock })
  readonly archive: Archive = memoryArchive({ hash: hashBytes, clock: systemClock, store: this.store })
  readonly queue: SessionQueue = new SessionQueue({ maxActive: 1, maxWaiting: 1, clock: systemClock })
  readonly safeChecks: SafeCheckDesk = new SafeCheckDesk(async area => this.archive.areas().includes(area) ? await this.archive.area(area) : undefined)
  readonly stopping = new AbortController()
  readonly sessions: Promise<unknown>[] = []

  /** Puts files into an area by hand, and takes them in. */
  async stock (area: string, names: readonly string[]): Promise<void> {
    const folder = this.store.root.below(area, 'make')
    for (const name of names) folder?.put(name, { kind: 'file', content: bytesOf(name), mtimeNs: 1_700_000_000_000_000_000n, mode: 0o644, sinceMs: 0 })
    await (await this.archive.area(area)).rebuild()
  }

  connect (identity: string, area: string = identity): Connection {
    const [client, server] = memoryStreamPair()
    const connection = openConnection({ stream: server, clock: systemClock })
    const deps = { queue: this.queue, safeChecks: this.safeChecks, clock: systemClock, software: 'test', rules: { stopping: this.stopping.signal, schedule: { admit () { /* at any time */ }, onClose: () => () => { /* it never closes */ } } } } as unknown as ServeDependencies
    this.sessions.push(serveSession(connection, { identity, area }, deps).then(
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

test('a question is answered while others have the turn and wait, and takes no place in the queue', async () => {
  const house = new House()
  await house.stock('laptop', ['a', 'b'])
  const replaced: unknown[] = []
  const arrival = (identity: string): Parameters<SessionQueue['enter']>[0] => ({ identity, signal: new AbortController().signal, onPosition () { /* told */ }, onReplaced: error => { replaced.push(error) } })
  await house.queue.enter(arrival('laptop'))
  void house.queue.enter(arrival('other'))
  const { files } = await house.ask('laptop', [file('b'), file('a', 'other'), file('c')])
  expect(files.map(({ verdict }) => verdict)).toEqual(['SAFE', 'DIFFERENT', 'ABSENT'])
  expect(files[0]?.storedAtMs).toBeGreaterThan(0)
  expect(house.queue.identities).toEqual(['laptop', 'other'])
  expect(replaced).toEqual([])
})

test('a session may hold many questions, and a fresh one tells how the copy was read', async () => {
  const house = new House()
  await house.stock('laptop', ['a'])
  const connection = await house.greeted('laptop')
  expect((await ask(connection, [file('a')])).files[0]).not.toHaveProperty('read')
  expect((await ask(connection, [file('a')], { fresh: true })).files[0]).toMatchObject({ verdict: 'SAFE', read: 'DISK' })
  await connection.close()
  await Promise.all(house.sessions)
})

test('nobody learns of another client\'s files, and no area is made for a question', async () => {
  const house = new House()
  await house.stock('laptop', ['a'])
  expect((await house.ask('stranger', [file('a'), file('laptop/a', 'a')])).files).toEqual([{ verdict: 'ABSENT' }, { verdict: 'ABSENT' }])
  expect(house.archive.areas()).toEqual(['laptop'])
  expect(house.store.root.entries().map(({ name }) => name)).toEqual(['laptop'])
})

test.each(['../laptop/a', '/etc/passwd', 'a/../../x', '.filesync/index', 'a//b', 'a/', '.', 'a\0b', 'd/'.repeat(64) + 'd'])('the path %j ends the session', async path => {
  const house = new House()
  await house.stock('laptop', ['a'])
  expect(await refusal(house.ask('laptop', [file('a'), file(path, 'a')]))).toBe('NAME_INVALID')
})

test('more questions in one than allowed, and anything but a question, end the session', async () => {
  const house = new House()
  await house.stock('laptop', ['a'])
  expect(await refusal(house.ask('laptop', Array.from({ length: LIMITS.filesPerQuestion + 1 }, () => file('a'))))).toBe('MESSAGE_INVALID')
  for (const message of [{ type: 'SAFE_ANSWER', files: [{ verdict: 'SAFE' }] }, { type: 'PAIR_DONE' }] as Message[]) {
    const connection = await house.greeted('laptop')
    await connection.send(message)
    expect(await refusal(connection.receive(['SAFE_ANSWER']))).toBe('MESSAGE_UNEXPECTED')
  }
  expect((await house.ask('laptop', Array.from({ length: LIMITS.filesPerQuestion }, () => file('a')))).files.every(({ verdict }) => verdict === 'SAFE')).toBe(true)
})

test('who did not say that it asks may not ask, whether it greeted or not', async () => {
  const house = new House()
  await house.queue.enter({ identity: 'other', signal: new AbortController().signal, onPosition () { /* told */ }, onReplaced () { /* told */ } })
  const question = encodeFrame('MESSAGE', [encodeMessage({ type: 'SAFE_QUESTION', fresh: false, files: [file('a')] })])
  const greeted = house.connect('laptop')
  await greeted.send(hello('test', [FEATURES.RESUME]))
  await greeted.receive(['HELLO'])
  await greeted.receive(['SERVER_STATUS'])
  await greeted.sendFrame(question)
  await expect(greeted.receive(['SAFE_ANSWER'])).rejects.toThrow('SAFE_QUESTION, but CLIENT_FILES_INFO was expected')
  const rude = house.connect('laptop')
  await rude.sendFrame(question)
  await expect(rude.receive(['SAFE_ANSWER'])).rejects.toThrow('SAFE_QUESTION, but HELLO was expected')
})

test('a client has a few sessions of questions at most, and others are not held up by them', async () => {
  const house = new House()
  await house.stock('laptop', ['a'])
  const open = await Promise.all(Array.from({ length: 4 }, async () => await house.greeted('laptop')))
  expect(await refusal(house.ask('laptop', [file('a')]))).toBe('SERVER_BUSY')
  expect((await house.ask('other', [file('a')])).files).toEqual([{ verdict: 'ABSENT' }])
  await open[0]?.close()
  await Promise.race(house.sessions)
  expect((await house.ask('laptop', [file('a')])).files[0]?.verdict).toBe('SAFE')
})

test('copies are read again one at a time, in turns of the clients, and who is gone is not read for', async () => {
  const house = new House()
  const many = Array.from({ length: 20 }, (_, i) => `f${String(i)}`)
  await house.stock('laptop', many)
  await house.stock('desktop', ['d'])
  const reads: string[] = []
  let underWay = 0
  let goOn: () => void = () => { /* set below */ }
  const first = new Promise<void>(resolve => { goOn = resolve })
  const reread = house.store.reread.bind(house.store)
  house.store.reread = async (area, path, options = {}) => await reread(area, path, {
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
  const question = (...paths: string[]): Parameters<SafeCheckDesk['answer']>[1] => ({ type: 'SAFE_QUESTION', fresh: true, files: paths.map(path => file(path)) })
  // Much is asked by one client in several sessions, and then a little by another one.
  const answers = [
    house.safeChecks.answer('laptop', question(...many), signal), house.safeChecks.answer('laptop', question(...many), signal),
    house.safeChecks.answer('laptop', question('f0'), gone.signal), house.safeChecks.answer('desktop', question('d'), signal),
  ]
  expect((await house.safeChecks.answer('laptop', { ...question('f1'), fresh: false }, signal)).files[0]?.verdict).toBe('SAFE')
  gone.abort(new Error('gone'))
  expect(reads).toEqual(['f0'])
  goOn()
  expect((await Promise.allSettled(answers)).map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected', 'fulfilled'])
  expect(reads.indexOf('d')).toBeLessThan(4)
  expect(reads).toHaveLength(2 * many.length + 1)
})

test('a server that stops says so to who asks', async () => {
  const house = new House()
  const connection = await house.greeted('laptop')
  await ask(connection, [file('a')])
  house.stopping.abort()
  expect(await refusal(connection.receive(['SAFE_ANSWER']))).toBe('SERVER_STOPPING')
})
