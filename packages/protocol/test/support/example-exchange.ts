import {
  encodeFrame, encodeListing, encodeMessage, encodeParts, hello, ListingRequester, ListingResponder, PACK_RECORD_BYTES, writePackRecord,
} from '../../src/index.ts'
import { FRAME_TYPES } from '../../src/wire/frame.ts'
import type { Entry, FrameType, Message, Name, RelativePath, Tree } from '../../src/index.ts'
import { hashBytes } from '../../src/node/index.ts'

/** One frame of the example in docs/protocol.md. */
export interface ExampleFrame {
  readonly from: 'client' | 'server'
  readonly type: FrameType
  /** The message, or what the raw bytes are. */
  readonly says: string
  readonly bytes: Uint8Array
}

const CONTENT = new TextEncoder().encode('hello\n')
const mtimeNs = 1_700_000_000_000_000_000n

function exampleTree (): Tree {
  const entries: Entry[] = [
    { kind: 'file', name: 'hello.txt' as Name, mtimeNs, mode: 0o644, sizeBytes: CONTENT.length, fileId: 4711n },
    { kind: 'symlink', name: 'latest' as Name, mtimeNs, target: 'hello.txt' },
  ]
  const inner = encodeListing(entries)
  const root = encodeListing([{ kind: 'directory', name: 'notes' as Name, mtimeNs, mode: 0o755, digest: hashBytes(inner) }])
  return {
    rootDigest: hashBytes(root), files: 1, directories: 1, bytes: CONTENT.length,
    listing: (path: RelativePath) => path === '' ? root : path === 'notes' ? inner : undefined,
  }
}

/** A whole session: a new folder with one new file of six bytes and a symbolic link to it. */
export function exampleExchange (): ExampleFrame[] {
  const frames: ExampleFrame[] = []
  const say = (from: ExampleFrame['from'], message: Message): void => {
    frames.push({ from, type: 'MESSAGE', says: describeMessage(message), bytes: encodeFrame('MESSAGE', [encodeMessage(message)]) })
  }
  const tree = exampleTree()
  const answers = new ListingResponder(tree, hashBytes)
  const questions = new ListingRequester(tree.rootDigest, hashBytes)

  say('client', hello('example-client/1', []))
  say('server', hello('example-server/1', []))
  say('server', { type: 'SERVER_STATUS', status: 'BUSY', position: 1 })
  say(
    'server',
    {
      type: 'SERVER_STATUS', status: 'READY', session: 's1', serverName: 'nas', area: 'laptop',
      policy: { mode: 'mirror', maxFileBytes: 2 ** 40 },
    }
  )
  say(
    'client',
    {
      type: 'CLIENT_FILES_INFO', rootDigest: tree.rootDigest, files: 1, directories: 1, bytes: CONTENT.length,
      folders: [{ name: 'notes' as Name, complete: true, files: 1 }], away: [], removed: [], problems: [], problemCount: 0,
    }
  )
  for (let page = questions.nextRequest(); page !== undefined; page = questions.nextRequest()) {
    say('server', { type: 'LISTINGS_WANTED', directories: page })
    for (const whole of answers.answer(page)) {
      const [payload = new Uint8Array(0)] = encodeParts([whole], 1000)
      frames.push({ from: 'client', type: 'LISTINGS', says: `listing ${String(whole.number)}`, bytes: encodeFrame('LISTINGS', [payload]) })
      const arrived = questions.accept(whole)
      if (whole.number === 0) questions.request(arrived, 0, answers.entry(0, 0).entry as never)
    }
  }
  say('server', { type: 'TASKS', first: 0, tasks: [[1, 0]], last: true })
  const pack = new Uint8Array(PACK_RECORD_BYTES + CONTENT.length)
  writePackRecord(pack, 0, { task: 0, sizeBytes: CONTENT.length, digest: hashBytes(CONTENT) })
  pack.set(CONTENT, PACK_RECORD_BYTES)
  frames.push({ from: 'client', type: 'PACK', says: 'the file of task 0', bytes: encodeFrame('PACK', [pack]) })
  say(
    'server',
    {
      type: 'NEXT_SYNC', inMs: 3_600_000, result: 'OK', stored: { files: 1, bytes: CONTENT.length, deleted: 0, renamed: 0 }, problems: [],
      problemCount: 0,
    }
  )
  say('client', { type: 'CLOSE', code: 'DONE', message: '' })
  say('server', { type: 'CLOSE', code: 'DONE', message: '' })
  return frames
}

/** The example as printed in the document. */
export function printExample (frames: readonly ExampleFrame[]): string {
  return frames.map(({ from, type, says, bytes }) => {
    const hex = Buffer.from(bytes).toString('hex')
    const payload = hex.slice(16).match(/.{1,64}/gu) ?? []
    return [
      `${from}: ${type} (${String(FRAME_TYPES[type])}) ${says}`, `  ${hex.slice(0, 16)}`, ...payload.map(line => `  ${line}`),
    ].join('\n')
  }).join('\n\n')
}

function describeMessage (message: Message): string {
  const fields = Object.entries(message).map(([name, value]: [string, unknown]) => [
    name, value instanceof Uint8Array ? `${String(value.length)} bytes` : value,
  ])
  return JSON.stringify(Object.fromEntries(fields))
}
