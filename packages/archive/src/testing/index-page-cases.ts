import { compareNames, encodeListing, equalDigests, leafPages, LIMITS, listingDigest } from '@filesync/protocol'
import type { Entry, Name, RelativePath } from '@filesync/protocol'
import { hashBytes } from '@filesync/protocol/node'
import { ensure, seededRandom } from '@filesync/protocol/testing'
import type { ConformanceCase } from '@filesync/protocol/testing'
import type { ArchiveIndex, DirectoryKey, IndexWrite } from '../store/archive-index.ts'
import { changeDirectory } from '../store/change-directory.ts'
import { FACT_BYTES } from '../store/facts.ts'
import { EMPTY_DIRECTORY } from '../store/fold.ts'
import type { StoredDirectory } from '../store/fold.ts'
import { NOT_STAGED } from '../store/section.ts'
import type { Section } from '../store/section.ts'
import { name, path } from './store-subject.ts'

/** The entries of a directory by name; those of files have a version, which fills their facts. */
type Model = Map<Name, { readonly kind: Entry['kind'], readonly version: number }>

interface Change {
  readonly changed?: Model
  readonly removed?: ReadonlySet<Name>
}

const NOTHING: Model = new Map()
const NO_NAMES: ReadonlySet<Name> = new Set()
const KEY: DirectoryKey = { area: 'a', directory: path('big') }
const MAX = LIMITS.pageEntries
/** Pages that a change of one name may write: its own, the one before it, and those after it until a boundary is where it was. */
const PAGES_A_NAME = 8

function entryOf (each: Name, kind: Entry['kind'], version: number): Entry {
  const mtimeNs = BigInt(version)
  if (kind === 'file') return { kind, name: each, mtimeNs, mode: 0o644, sizeBytes: version, fileId: 7n }
  if (kind === 'symlink') return { kind, name: each, mtimeNs, target: `t${String(version)}` }
  return { kind, name: each, mtimeNs, mode: 0o755, digest: hashBytes(Uint8Array.of(version)) }
}

function encode (model: Model): StoredDirectory {
  const names = [...model.keys()].sort(compareNames)
  const entries = names.map(each => entryOf(each, model.get(each)?.kind ?? 'file', model.get(each)?.version ?? 0))
  const files = entries.filter(entry => entry.kind === 'file')
  const facts = new Uint8Array(files.length * FACT_BYTES)
  files.forEach(({ name: each }, at) => { facts.fill(model.get(each)?.version ?? 0, at * FACT_BYTES, (at + 1) * FACT_BYTES) })
  return { listing: encodeListing(entries), facts }
}

function sectionOf (model: Model): Section {
  const ordered = [...model].sort(([left], [right]) => compareNames(left, right)).map(([, entry]) => entry)
  const facts = new Uint8Array(ordered.length * FACT_BYTES)
  ordered.forEach(({ version }, at) => { facts.fill(version, at * FACT_BYTES, (at + 1) * FACT_BYTES) })
  const staged = Uint32Array.from(ordered, ({ kind }, at) => kind === 'file' ? at : NOT_STAGED)
  return { directory: KEY.directory, entries: encode(model).listing, staged, facts }
}

function same (left: Uint8Array | undefined, right: Uint8Array): boolean {
  return left !== undefined && equalDigests(left, right)
}

function manyNames (count: number, prefix = 'file'): Model {
  return new Map(Array.from({ length: count }, (_, i) => [name(`${prefix} ${String(i).padStart(6, '0')}`), { kind: 'file', version: 1 }]))
}

/** Ensures that the index has a directory as a model says, whole and in pages. */
function ensureAs (index: ArchiveIndex, model: Model, when: string): void {
  const wanted = encode(model)
  const read = index.directory(KEY)
  ensure(same(read?.listing, wanted.listing) && same(index.listing(KEY), wanted.listing), `the whole listing is wrong ${when}`)
  ensure(same(read?.facts, wanted.facts), `the facts are wrong ${when}`)
  ensure(same(index.digest(KEY), listingDigest(wanted.listing, hashBytes)), `the digest is wrong ${when}`)
  const pages = index.pages(KEY)
  const leaves = [...leafPages(wanted.listing, hashBytes)]
  ensure(pages?.leaves.length === leaves.length, `there are ${String(pages?.leaves.length)} pages, not ${String(leaves.length)}, ${when}`)
  ensure(same(pages.tree().digest, listingDigest(wanted.listing, hashBytes)), `the page tree is wrong ${when}`)
  let facts = 0
  for (const [at, { firstName, entries, digest, bytes }] of leaves.entries()) {
    const page = pages.leaves[at]
    const isSame = page?.firstName === firstName && page.entries === entries && same(page.digest, digest)
    ensure(isSame && same(pages.listing(at), bytes), `page ${String(at)} is wrong ${when}`)
    const stored = pages.read(at)
    const end = facts + page.files * FACT_BYTES
    ensure(same(stored.listing, bytes) && same(stored.facts, wanted.facts.subarray(facts, end)), `page ${String(at)} reads wrong ${when}`)
    facts = end
  }
  ensure(facts === wanted.facts.length, `the pages have other numbers of files ${when}`)
}

/** Ensures that a page is found for names before, in, between and after those of a directory. */
function ensureFound (index: ArchiveIndex, names: readonly Name[]): void {
  const leaves = index.pages(KEY)?.leaves ?? []
  for (const each of names) {
    const found = index.page(KEY, each)
    const at = Math.max(0, leaves.findLastIndex(({ firstName }) => compareNames(firstName, each) <= 0))
    ensure(same(found?.listing, index.pages(KEY)?.listing(at) ?? EMPTY_DIRECTORY.listing), `${each} is looked for in another page`)
    const isIn = (found?.from === undefined || compareNames(found.from, each) <= 0) &&
      (found?.before === undefined || compareNames(each, found.before) < 0)
    ensure(isIn, `the page for ${each} is said to have other names`)
    ensure(found?.before === leaves[at + 1]?.firstName, `the page for ${each} is said to end elsewhere`)
  }
}

async function change (index: ArchiveIndex, model: Model, { changed = NOTHING, removed = NO_NAMES }: Change): Promise<number> {
  const site = { area: KEY.area, index, hash: hashBytes }
  let written = 0
  const sections = changed.size === 0 ? [] : [sectionOf(changed)]
  for (const writes of changeDirectory(site, { directory: KEY.directory, sections, removed })) {
    await index.write(writes)
    written += writes.reduce((sum, write) => sum + countPages(write), 0)
  }
  for (const each of removed) if (!changed.has(each)) model.delete(each)
  for (const [each, entry] of changed) model.set(each, entry)
  return written
}

function countPages (write: IndexWrite): number {
  if ('patch' in write) return write.leaves.filter(page => 'stored' in page).length
  return 'put' in write ? 1 : 0
}

/** What every {@link ArchiveIndex} must do with directories of many pages. */
export const indexPageCases: readonly ConformanceCase<ArchiveIndex>[] = [
  {
    name: 'has the same pages as the whole listing, whatever changes, and writes only those concerned',
    async run (index) {
      const seed = 20_261_130
      const { below } = seededRandom(seed)
      const model = manyNames(3 * MAX)
      await index.write([{ put: KEY, stored: encode(model) }])
      ensureAs(index, model, 'after it was put')
      for (let step = 1; step <= 60; step++) {
        const when = `after step ${String(step)} (seed ${String(seed)})`
        const names = [...model.keys()]
        const firsts = index.pages(KEY)?.leaves.map(({ firstName }) => firstName) ?? []
        const any = (): Name => names[below(names.length)] ?? name('any')
        const count = [1, 1, 1, 3, 20, 400][below(6)] ?? 1
        const changed: Model = new Map()
        const removed = new Set<Name>()
        for (let i = 0; i < count; i++) {
          const what = below(5)
          const kind = below(4) === 0 ? 'symlink' : 'file'
          if (what === 0) removed.add(any())
          else if (what === 1) removed.add(firsts[below(firsts.length)] ?? any())
          else if (what === 2) changed.set(any(), { kind, version: 1 + step })
          else if (what === 3) changed.set(name(`file ${String(below(10 * MAX)).padStart(6, '0')} new`), { kind, version: 1 + step })
          else changed.set(name(below(2) === 0 ? `a first ${String(i)}` : `z last ${String(i)}`), { kind, version: 1 + step })
        }
        const isPaged = model.size > MAX
        const written = await change(index, model, { changed, removed })
        ensureAs(index, model, when)
        const isFew = written <= PAGES_A_NAME * (changed.size + removed.size)
        ensure(!isPaged || model.size <= MAX || isFew, `${String(written)} pages were written ${when}`)
      }
      ensureFound(index, [name('!'), name('zz'), ...[...model.keys()].filter((_, at) => at % 97 === 0), name('file 000500 between')])
    },
  },
  {
    name: 'grows over one page, and shrinks back to one',
    async run (index) {
      const model = manyNames(MAX - 1)
      await index.write([{ put: KEY, stored: encode(model) }])
      const only = index.page(KEY, name('any'))
      ensure(same(only?.listing, encode(model).listing) && same(only?.facts, encode(model).facts), 'its only page is not found')
      ensure(only?.from === undefined && only?.before === undefined, 'its only page is said to have not all names')
      for (const extra of [1, 1, 1]) {
        const more = manyNames(extra, `more ${String(model.size)}`)
        await change(index, model, { changed: more })
        ensureAs(index, model, `with ${String(model.size)} entries`)
      }
      for (const gone of [...model.keys()].slice(0, 3)) {
        await change(index, model, { removed: new Set([gone]) })
        ensureAs(index, model, `with ${String(model.size)} entries left`)
      }
      const grown = manyNames(4 * MAX, 'grown')
      await change(index, model, { changed: grown })
      ensureAs(index, model, 'after it grew at once')
      await change(index, model, { removed: new Set([...grown.keys()].slice(1)) })
      ensureAs(index, model, 'after it shrank at once')
      await change(index, model, { removed: new Set(model.keys()) })
      ensureAs(index, model, 'when it is empty')
      await index.write([{ put: KEY, stored: encode(grown) }, { put: KEY, stored: EMPTY_DIRECTORY }])
      ensureAs(index, new Map(), 'after an empty one was put')
    },
  },
  {
    name: 'replaces a long directory by another, also if only its facts differ',
    async run (index) {
      const model = manyNames(3 * MAX)
      await index.write([{ put: KEY, stored: encode(model) }])
      const { listing, facts } = encode(model)
      const verified = facts.slice().fill(9, 0, FACT_BYTES)
      await index.write([{ put: KEY, stored: { listing, facts: verified } }])
      ensure(same(index.directory(KEY)?.facts, verified), 'the new facts were not written')
      const other = manyNames(2 * MAX, 'other')
      await index.write([{ put: KEY, stored: encode(other) }])
      ensureAs(index, other, 'after another one was put')
    },
  },
  {
    name: 'refuses a list of pages that was made for another state, and keeps what it has',
    async run (index) {
      const model = manyNames(3 * MAX)
      await index.write([{ put: KEY, stored: encode(model) }])
      const old = index.pages(KEY)?.leaves ?? []
      await change(index, model, { changed: new Map([[name('file 000001'), { kind: 'file', version: 5 }]]) })
      const refused = await index.write([{ patch: KEY, leaves: old }]).then(() => false, () => true)
      ensure(refused, 'pages of another state were taken')
      ensureAs(index, model, 'after pages of another state were refused')
    },
  },
  {
    name: 'lists, moves, drops and forgets a long directory with its pages',
    async run (index) {
      const model = manyNames(2 * MAX)
      const at = (area: string, directory: string): DirectoryKey => ({ area, directory: path(directory) })
      const all = ['', 'd', 'd/e', 'd-', 'd0']
      await index.write(all.map(directory => ({ put: at('a', directory), stored: encode(model) })))
      await index.write([{ put: at('ab', 'd'), stored: encode(model) }, { area: 'a', record: { open: false, lastStampMs: 1 } }])
      const listed = (area: string): string => show([...index.directories(area)])
      const show = (found: readonly { readonly directory: string, readonly files: number }[]): string => (
        found.map(({ directory, files }) => `${directory}:${String(files)}`).join()
      )
      const wanted = (directories: readonly string[]): string => show(directories.map(directory => ({ directory, files: 2 * MAX })))
      ensure(listed('a') === wanted([...all].sort()), `the directories are ${listed('a')}`)
      ensure([...index.directories('a', path('d'))].length === 3, 'the directories after one are wrong')
      await index.write([{ area: 'a', renamedTo: 'moved' }])
      ensure(same(index.directory(at('moved', 'd/e'))?.listing, encode(model).listing), 'pages were lost with the name')
      ensure(index.pages(at('a', 'd')) === undefined, 'something is left under the old name')
      await index.write([{ drop: at('moved', 'd'), recursive: true }])
      ensure(listed('moved') === wanted(['', 'd-', 'd0']), `left are ${listed('moved')}`)
      // A short directory of the same name must not get the pages of the dropped one.
      await index.write([{ put: at('moved', 'd'), stored: encode(manyNames(3)) }])
      await index.write([{ put: at('moved', 'd'), stored: encode(model) }])
      ensure(same(index.directory(at('moved', 'd'))?.listing, encode(model).listing), 'a directory that was dropped cannot be made again')
      await index.write([{ drop: at('moved', ''), recursive: false }, { area: 'moved', forgotten: true }])
      ensure(listed('moved') === '' && index.page(at('moved', 'd0'), name('file 000001')) === undefined, 'an area was not forgotten')
      ensure(same(index.directory(at('ab', 'd'))?.listing, encode(model).listing), 'another area lost its pages')
    },
  },
  {
    name: 'tells apart the pages of any names, and of the longest paths',
    async run (index) {
      const bytes = Array.from({ length: 255 }, (_, i) => String.fromCharCode(i + 1)).filter(each => each !== '/')
      const odd = new Map([...manyNames(2 * MAX)].map(([each, entry], at) => [name(`${bytes[at % bytes.length] ?? ''}${each}`), entry]))
      const long = new Map([...manyNames(2 * MAX)].map(([each, entry]) => [name(each.padEnd(LIMITS.nameBytes, 'x')), entry]))
      const deep = Array.from({ length: 4 }, (_, i) => String(i).repeat(255)).join('/').slice(0, LIMITS.pathBytes) as RelativePath
      const area = 'n'.repeat(LIMITS.nameBytes)
      await index.write([
        { put: { area, directory: deep }, stored: encode(long) },
        { put: { area, directory: path('d') }, stored: encode(odd) },
        { put: { area, directory: path('d\u0001') }, stored: encode(manyNames(1)) },
      ])
      const read = (directory: RelativePath): Uint8Array | undefined => index.directory({ area, directory })?.listing
      ensure(same(read(deep), encode(long).listing), 'the pages with the longest names are wrong')
      ensure(same(read(path('d')), encode(odd).listing), 'the pages with all characters are wrong')
      for (const each of odd.keys()) {
        const found = index.page({ area, directory: path('d') }, each)
        ensure(found !== undefined && new TextDecoder().decode(found.listing).includes(each), `${JSON.stringify(each)} is not found`)
      }
      await index.write([{ drop: { area, directory: path('d') }, recursive: true }])
      ensure([...index.directories(area)].length === 2, 'a directory beside the dropped one is gone')
    },
  },
]
