import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { memoryStreamPair, seededRandom } from '@filesync/protocol/testing'
import type { TreeLiteral } from '@filesync/protocol/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { FOLDER, Ground, push } from '../src/hostile-ground.ts'
import type { Taken } from '../src/hostile-ground.ts'
import { mutate, RecordingStream, replay } from '../src/hostile-replay.ts'
import type { Recorded } from '../src/hostile-replay.ts'

const SEED = Number(process.env['HOSTILE_SEED'] ?? Date.now() % 2 ** 31)
/** How many spoilt sessions each side is given. */
const RUNS = Number(process.env['HOSTILE_RUNS'] ?? 150)
const CONCURRENCY = 8
/** A session that has not ended by then hangs. */
const HANG_MS = 30_000

const LARGE = Buffer.alloc(270_000, 'large ')
const BEFORE: TreeLiteral = {
  'keep.txt': 'stays as it is',
  'change.txt': 'old content',
  gone: { 'a.txt': 'will vanish' },
  'large.bin': 'was small',
}
const AFTER: TreeLiteral = {
  'keep.txt': 'stays as it is',
  'change.txt': 'new content, longer',
  new: { 'b.txt': 'arrives', link: { symlink: 'b.txt' } },
  'large.bin': LARGE,
}
/** Each path with the contents it may have at any moment while AFTER replaces BEFORE. */
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  'keep.txt': ['stays as it is'],
  'change.txt': ['old content', 'new content, longer'],
  'gone/a.txt': ['will vanish'],
  'new/b.txt': ['arrives'],
  'large.bin': ['was small', LARGE.toString()],
}

let ground: Ground
let spoken: { readonly client: readonly Recorded[], readonly server: readonly Recorded[] }
beforeAll(async () => {
  ground = await Ground.open()
  expect(await ground.honest('recorded', BEFORE)).toMatchObject({ result: 'OK' })
  const [left, right] = memoryStreamPair()
  const client = new RecordingStream(left)
  const server = new RecordingStream(right)
  const [heard] = await Promise.all([push(client, AFTER), ground.serve(server, 'recorded')])
  expect(heard).toMatchObject({ result: 'OK' })
  spoken = { client: withoutGoodbye(client.writes), server: withoutGoodbye(server.writes) }
})
afterAll(async () => { await ground.close() })

/** A replay ends in its own way, and must not end before the other side is done. */
function withoutGoodbye (writes: readonly Recorded[]): readonly Recorded[] {
  return writes.filter(({ bytes }) => !Buffer.from(bytes.subarray(0, 32)).includes('CLOSE'))
}

async function bounded<T> (work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const hang = new Promise<never>((_, reject) => { timer = setTimeout(() => { reject(new Error('The session hangs.')) }, HANG_MS) })
  return await Promise.race([work, hang]).finally(() => { clearTimeout(timer) })
}

async function toServer (writes: readonly Recorded[], area: string): Promise<Taken> {
  const [left, right] = memoryStreamPair()
  const [taken] = await bounded(Promise.all([ground.serve(right, area), replay(left, writes)]))
  return taken
}

async function toClient (writes: readonly Recorded[]): Promise<Taken> {
  const [left, right] = memoryStreamPair()
  const [taken] = await bounded(Promise.all([push(left, AFTER), replay(right, writes)]))
  return taken
}

async function expectWholeFiles (area: string): Promise<void> {
  const root = ground.mirror(area)
  for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const path = join(entry.parentPath, entry.name)
    const name = path.slice(root.length + 1)
    expect(ALLOWED[name] ?? [`nothing called ${name}`]).toContain(await readFile(path, 'utf8'))
  }
  expect(await ground.stored(area)).toMatchObject({ 'keep.txt': expect.any(String) as string, 'change.txt': expect.any(String) as string })
}

/** What was left of a spoilt large file is continued, found out by its digest, and sent from the start the time after. */
async function expectConverged (area: string, outcome: string): Promise<void> {
  let next = await ground.honest(area, AFTER)
  if (typeof next !== 'string' && next.problems[0]?.path === `${FOLDER}/large.bin`) {
    expect(next).toMatchObject({ problemCount: 1, problems: [{ code: 'DIGEST_MISMATCH' }] })
    next = await ground.honest(area, AFTER)
  }
  expect(next, `${outcome}, then ${JSON.stringify(next)}`).toMatchObject({ result: 'OK' })
  await expectWholeFiles(area)
  expect(await readFile(join(ground.mirror(area), 'large.bin'), 'utf8')).toBe(LARGE.toString())
}

/** Does the work for each run, several at a time; what fails tells the run, and with the seed it comes again. */
async function forRuns (work: (run: number, random: (below: number) => number) => Promise<void>): Promise<void> {
  let next = 0
  let failure: Error | undefined
  await Promise.all(Array.from({ length: CONCURRENCY }, async () => {
    for (let run = next++; run < RUNS && failure === undefined; run = next++) {
      try {
        await work(run, seededRandom(SEED + run * 7919).below)
      } catch (error) {
        failure ??= new Error(`Run ${String(run)} with HOSTILE_SEED=${String(SEED)}: ${String(error)}`, { cause: error })
      }
    }
  }))
  if (failure !== undefined) throw failure
}

describe(
  `sessions with faults in them (HOSTILE_SEED=${String(SEED)}, HOSTILE_RUNS=${String(RUNS)})`,
  { timeout: 60_000 + RUNS * 1000 },
  () => {
    test('what was recorded is taken where it is said again without a fault', async () => {
      expect(await ground.honest('repeated', BEFORE)).toMatchObject({ result: 'OK' })
      expect(await toServer(spoken.client, 'repeated')).toMatchObject({ result: 'OK', stored: { files: 3 } })
      expect(await toClient(spoken.server)).toMatchObject({ result: 'OK', stored: { files: 3 } })
    })

    test('of a client end with a code, leave every file whole, and the next sync is right', async () => {
      const codes = new Map<string, number>()
      await forRuns(async (run, random) => {
        // As long as the recorded one: the server sends its name, and the replay counts bytes.
        const area = `f${String(run).padStart(7, '0')}`
        expect(await ground.honest(area, BEFORE)).toMatchObject({ result: 'OK' })
        const taken = await toServer(mutate(spoken.client, random), area)
        const outcome = typeof taken === 'string' ? taken : taken.result
        codes.set(outcome, (codes.get(outcome) ?? 0) + 1)
        await expectWholeFiles(area)
        await expectConverged(area, outcome)
        expect(await ground.isCanaryAlive()).toBe(true)
      })
      // The faults reach different places of the session, or this would prove little.
      expect(codes.size).toBeGreaterThan(RUNS < 50 ? 1 : 5)
    })

    test('of a server end with a code', async () => {
      const codes = new Map<string, number>()
      await forRuns(async (_, random) => {
        const taken = await toClient(mutate(spoken.server, random))
        const outcome = typeof taken === 'string' ? taken : taken.result
        codes.set(outcome, (codes.get(outcome) ?? 0) + 1)
      })
      expect(codes.size).toBeGreaterThan(RUNS < 50 ? 1 : 3)
    })
  }
)
