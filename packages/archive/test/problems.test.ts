import { encodeListing, LIMITS, PROBLEMS_KEPT, ROOT_PATH } from '@filesync/protocol'
import type { Entry, Name } from '@filesync/protocol'
import { hashBytes } from '@filesync/protocol/node'
import { describe, expect, test } from 'vitest'
import type { Area } from '../src/index.ts'
import type { StoreTraits } from '../src/store/content-store.ts'
import { memoryArchive, MemoryStore } from '../src/testing/index.ts'
import { WallClock } from './support/on-disk.ts'
import { asPath, push } from './support/push.ts'
import { SourceTree } from './support/source-tree.ts'

const PLAIN: StoreTraits = { foldsNames: false, windowsNames: false }
const WITHOUT_LINKS: StoreTraits = { ...PLAIN, holdsLinks: false }
/** More than the engine passes to a function at once. */
const CROWD = 200_000

async function newArea (traits = PLAIN): Promise<Area> {
  const clock = new WallClock(Date.now())
  return await memoryArchive({ hash: hashBytes, clock, store: new MemoryStore({ hash: hashBytes, clock, traits }) }).area('laptop')
}

/** Some bad entries and a good one, each in the listing of the root. */
const crowds: readonly [what: string, traits: StoreTraits, code: string, bad: (number: number) => Entry[]][] = [
  [
    'links that the store cannot hold', WITHOUT_LINKS, 'STORE_FAILED',
    number => [{ kind: 'symlink', name: name(`l${number}`), mtimeNs: 1n, target: '/etc' }],
  ],
  ['names that Windows refuses', { ...PLAIN, windowsNames: true }, 'NAME_WINDOWS', number => [file(`${number}?`)]],
  ['names that are taken', { ...PLAIN, foldsNames: true }, 'NAME_COLLIDES', number => [file(`A${number}`), file(`a${number}`)]],
]

function name (text: string): Name {
  return text as Name
}

function file (text: string): Entry {
  return { kind: 'file', name: name(text), mtimeNs: 1n, mode: 0o644, sizeBytes: 1, fileId: 0n }
}

describe('the first of very many problems are reported, and all are counted', () => {
  test.each(crowds)('%s', async (_, traits, code, bad) => {
    const area = await newArea(traits)
    const entries = Array.from({ length: CROWD }, (_, number) => bad(number)).flat().sort((a, b) => a.name < b.name ? -1 : 1)
    const looking = await area.beginPlanRun()
    Array.from(looking.compare({ number: 0, directory: ROOT_PATH, bytes: encodeListing(entries) }))
    const { problems, problemCount } = await looking.finish({ complete: true })
    expect([problems.length, problemCount]).toEqual([PROBLEMS_KEPT, CROWD])
    expect(new Set(problems.map(problem => problem.code))).toEqual(new Set([code]))
  })

  test('links that the store cannot hold, at the end of a sync', async () => {
    const area = await newArea(WITHOUT_LINKS)
    const sync = await area.beginSync()
    const links = Array.from({ length: CROWD }, (_, number) => `l${number}`).sort().map((link): Entry => ({
      kind: 'symlink',
      name: name(link),
      mtimeNs: 1n,
      target: '/etc',
    }))
    Array.from(sync.compare({ number: 0, directory: ROOT_PATH, bytes: encodeListing(links) }))
    sync.plan({ complete: true })
    const { problems, problemCount } = await sync.finish()
    expect([problems.length, problemCount]).toEqual([PROBLEMS_KEPT, CROWD])
  })

  test('below a path of nearly the maximum length', async () => {
    const source = new SourceTree()
    const deep = 'd/'.repeat(30) + ['x', 'y', 'z'].map(letter => letter.repeat(LIMITS.nameBytes)).join('/')
    for (let number = 0; number < 1500; number++) source.write(`${deep}/${String(number).padStart(LIMITS.nameBytes, 'n')}`, '')
    const { files, problems, problemCount } = await push(await newArea(), source.write(`${deep}/short`, 'is stored'))
    expect([files, problems.length, problemCount]).toEqual([1, PROBLEMS_KEPT, 1500])
    expect(problems.every(({ code }) => code === 'PATH_TOO_LONG')).toBe(true)
  })
})

test('problems of the comparison and of content that arrived are counted together', async () => {
  const source = new SourceTree().link('outside', '/etc').write('right', 'as it is')
  for (let number = 0; number < 1200; number++) source.write(`wrong${number}`, String(number))
  const area = await newArea(WITHOUT_LINKS)
  const { files, problems, problemCount, outcomes } = await push(
    area,
    source,
    { falsify: (path, content) => path.startsWith('wrong') ? content.subarray(1) : undefined },
  )
  expect([files, problems.length, problemCount]).toEqual([1, PROBLEMS_KEPT, 1201])
  expect(problems[0]).toMatchObject({ path: 'outside', code: 'STORE_FAILED' })
  expect(outcomes.filter(({ problem }) => problem?.code === 'CHANGED_DURING_READ').length).toBe(1200)
  expect(area.stat(asPath('right'))).toBeDefined()
})
